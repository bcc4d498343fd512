// SPDX-License-Identifier: Apache-2.0
//! What a TCP of the same round trip and loss would send (RFC 9347 Appendix B, RFC 5348 §3.1, §8.1).

use std::time::Duration;

/// Returns packets a second, for a loss event rate above 0.
pub(super) fn throughput(rtt: Duration, loss: f64) -> f64 {
    let halved = (2.0 * loss / 3.0).sqrt();
    let waited = 12.0 * (3.0 * loss / 8.0).sqrt() * loss * (1.0 + 32.0 * loss * loss);
    1.0 / (rtt.as_secs_f64().max(1e-6) * (halved + waited))
}

/// Returns the loss event rate with which so many packets a second would be sent (RFC 5348 §6.3.1).
pub(super) fn loss_of(rtt: Duration, per_second: f64) -> f64 {
    let (mut low, mut high) = (1e-9_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if throughput(rtt, middle) > per_second {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    /// Appendix B, by hand: with a loss event in 100 packets and 100 ms it is about 112 packets a
    /// second; half the round trip doubles it.
    #[test]
    fn the_equation_is_that_of_the_appendix() {
        let rate = throughput(RTT, 0.01);
        let by_hand = 1.0 / (0.1 * (0.081_650 + 12.0 * 0.061_237 * 0.01 * 1.0032));
        assert!((rate / by_hand - 1.0).abs() < 1e-4, "{rate} {by_hand}");
        assert!((throughput(RTT / 2, 0.01) / rate - 2.0).abs() < 1e-9);
        assert!(throughput(RTT, 1.0) < 1.0);
    }

    #[test]
    fn the_loss_of_a_rate_gives_that_rate() {
        for per_second in [1.0, 10.0, 1000.0, 80_000.0] {
            let again = throughput(RTT, loss_of(RTT, per_second));
            assert!((again / per_second - 1.0).abs() < 0.01, "{per_second} {again}");
        }
    }
}
