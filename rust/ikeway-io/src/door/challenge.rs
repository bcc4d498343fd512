// SPDX-License-Identifier: Apache-2.0
//! The answer to a first request without a good cookie: one that asks for it (RFC 7296 §2.6).
//!
//! What the answer is, the daemon says: `ikeway.ike.besieged` and `ikeway.ike.cookies` are the same
//! rules in words of Python, for whatever does not come through a socket; a test compares both.

use blake2::Blake2sMac;
use blake2::digest::consts::U16;
use blake2::digest::{KeyInit, Mac};

/// An IKE header (RFC 7296 §3.1).
const HEADER: usize = 28;
/// What stands around the first payload's number in the header of a first request: SPIr before it,
/// version, exchange, flags and message ID behind it.
const BEFORE: [u8; 8] = [0; 8];
const BEHIND: [u8; 7] = [VERSION, INIT, INITIATOR, 0, 0, 0, 0];
const VERSION: u8 = 0x20;
const INIT: u8 = 34;
const INITIATOR: u8 = 0x08;
const RESPONSE: u8 = 0x20;
const NONE: u8 = 0;
const SA: u8 = 33;
const NONCE: u8 = 40;
const NOTIFY: u8 = 41;
/// An SPI of no octets, and the notify's type.
const COOKIE: [u8; 3] = [0, 0x40, 0x06];
/// The head of a Notify payload (RFC 7296 §3.10).
const NOTIFY_OCTETS: usize = 8;
/// How many payloads may stand before the nonce.
const PAYLOADS_MOST: usize = 16;
/// The lengths of a payload with a nonce of 16 to 256 octets (RFC 7296 §2.10).
const NONCE_PAYLOAD: std::ops::RangeInclusive<usize> = 20..=260;
/// The code of a cookie; what stands before it begins with the number of its secret.
const CODE: usize = 16;

type Keyed = Blake2sMac<U16>;

/// What cookies are made of and checked with for a moment.
pub struct Challenge {
    secrets: Vec<(u8, Keyed)>,
    head: Vec<u8>,
}

impl Challenge {
    /// `secrets` have numbers, the one in use is the first; `head` is what cookies begin with.
    ///
    /// Returns none if there is no secret, or one that is longer than a key of BLAKE2s.
    #[must_use]
    pub fn new(secrets: &[(u8, Vec<u8>)], head: &[u8]) -> Option<Self> {
        let keyed = |(number, secret): &(u8, Vec<u8>)| {
            Keyed::new_from_slice(secret).ok().map(|keyed| (*number, keyed))
        };
        let secrets = secrets.iter().map(keyed).collect::<Option<Vec<_>>>()?;
        (!secrets.is_empty()).then(|| Self { secrets, head: head.to_vec() })
    }

    /// Writes the answer to `request` into `out` and returns its length.
    ///
    /// There is none to what is odd, to a request with its cookie, and to one that is shorter than
    /// the answer.
    pub(super) fn answer(&self, request: &[u8], source: &[u8], out: &mut [u8]) -> Option<usize> {
        let opening = glance(request)?;
        if !opening.cookie.is_empty() && self.is_good(&opening, source) {
            return None;
        }
        let (_, secret) = self.secrets.first()?;
        let code = code(secret, &self.head, &opening, source).finalize().into_bytes();
        let size = NOTIFY_OCTETS + self.head.len() + code.len();
        if HEADER + size > request.len() {
            return None;
        }
        let length = u32::try_from(HEADER + size).ok()?.to_be_bytes();
        let notify = u16::try_from(size).ok()?.to_be_bytes();
        let mut to = Writer { out, at: 0 };
        to.put(opening.spi)?;
        to.put(&[0; 8])?;
        to.put(&[NOTIFY, VERSION, INIT, RESPONSE, 0, 0, 0, 0])?;
        to.put(&length)?;
        to.put(&[NONE, 0])?;
        to.put(&notify)?;
        to.put(&[0])?;
        to.put(&COOKIE)?;
        to.put(&self.head)?;
        to.put(&code)?;
        Some(to.at)
    }

    fn is_good(&self, opening: &Opening<'_>, source: &[u8]) -> bool {
        let Some((head, seen)) = opening.cookie.split_at_checked(self.head.len()) else {
            return false;
        };
        let known = self.secrets.iter().find(|(number, _)| head.first() == Some(number));
        known.is_some_and(|(_, secret)| {
            seen.len() == CODE && code(secret, head, opening, source).verify_slice(seen).is_ok()
        })
    }
}

fn code(secret: &Keyed, head: &[u8], opening: &Opening<'_>, source: &[u8]) -> Keyed {
    let mut code = secret.clone();
    let length = [u8::try_from(source.len()).unwrap_or(0)];
    for part in [opening.spi, head, &length, source, opening.nonce] {
        code.update(part);
    }
    code
}

/// What a request shows.
struct Opening<'a> {
    spi: &'a [u8],
    nonce: &'a [u8],
    cookie: &'a [u8],
}

/// Returns what a request shows that starts an IKE SA, by a walk along the heads of the payloads
/// before its nonce (RFC 7296 §3.2).
fn glance(request: &[u8]) -> Option<Opening<'_>> {
    let spi = request.get(..8)?;
    let mut kind = first_payload(request).filter(|_| spi != [0; 8])?;
    let mut rest = request.get(HEADER..)?;
    let mut cookie: &[u8] = &[];
    for _ in 0..PAYLOADS_MOST {
        let [next, _, high, low] = *rest.first_chunk()?;
        let size = usize::from(u16::from_be_bytes([high, low]));
        let payload = rest.get(..size)?;
        match kind {
            NONCE if NONCE_PAYLOAD.contains(&size) => {
                return Some(Opening { spi, nonce: payload.get(4..)?, cookie });
            }
            NONE | NONCE => return None,
            _ if size < 4 => return None,
            NOTIFY if cookie.is_empty() && payload.get(5..8) == Some(&COOKIE) => {
                cookie = payload.get(NOTIFY_OCTETS..)?;
            }
            _ => (),
        }
        (kind, rest) = (next, rest.get(size..)?);
    }
    None
}

/// Returns the kind of the first payload, if the header is that of a whole first request which
/// begins with its SA payload or a cookie.
fn first_payload(request: &[u8]) -> Option<u8> {
    let length = request.get(24..HEADER)?.first_chunk();
    let length = length.map(|length| u32::from_be_bytes(*length))?;
    let is_whole = usize::try_from(length) == Ok(request.len()) && request.len() > HEADER;
    let is_first = request.get(8..16)? == BEFORE && request.get(17..24)? == BEHIND;
    let kind = *request.get(16)?;
    (is_whole && is_first && matches!(kind, SA | NOTIFY)).then_some(kind)
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, octets: &[u8]) -> Option<()> {
        let end = self.at.checked_add(octets.len())?;
        self.out.get_mut(self.at..end)?.copy_from_slice(octets);
        self.at = end;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &[u8] = &[192, 0, 2, 1];
    const HEAD: [u8; 6] = [0, 0, 5, 0, 0, 0];

    /// A request with a payload of `before`, that may be a cookie, and a nonce.
    fn request(before: (u8, &[u8]), nonce: usize) -> Vec<u8> {
        let (kind, data) = before;
        let length = HEADER + 4 + data.len() + 4 + nonce;
        let mut octets = vec![7; 8];
        octets.extend(BEFORE);
        octets.push(kind);
        octets.extend(BEHIND);
        octets.extend(u32::try_from(length).unwrap().to_be_bytes());
        octets.extend([NONCE, 0, 0, u8::try_from(4 + data.len()).unwrap()]);
        octets.extend(data);
        octets.extend([NONE, 0, 0, u8::try_from(4 + nonce).unwrap()]);
        octets.extend(vec![9; nonce]);
        octets
    }

    fn plain(nonce: usize) -> Vec<u8> {
        request((SA, &[1, 2, 3, 4]), nonce)
    }

    fn with_cookie(cookie: &[u8]) -> Vec<u8> {
        request((NOTIFY, &[[0].as_slice(), &COOKIE, cookie].concat()), 32)
    }

    fn answered(request: &[u8]) -> Option<Vec<u8>> {
        let mut out = [0; 100];
        let challenge = Challenge::new(&[(0, vec![1; 32]), (255, vec![2; 32])], &HEAD).unwrap();
        let length = challenge.answer(request, SOURCE, &mut out)?;
        Some(out.get(..length)?.to_vec())
    }

    #[test]
    fn a_first_request_is_asked_for_a_cookie() {
        let answer = answered(&plain(32)).unwrap();
        assert_eq!(answer.len(), 28 + 8 + 6 + 16);
        assert_eq!(answer.get(..8), Some([7; 8].as_slice()));
        assert_ne!(answered(&plain(33)).unwrap().get(42..), answer.get(42..));
    }

    #[test]
    fn who_brings_the_cookie_is_for_the_daemon() {
        let answer = answered(&plain(32)).unwrap();
        let cookie = answer.get(36..).unwrap();
        assert_eq!(answered(&with_cookie(cookie)), None);
        for (place, _) in cookie.iter().enumerate() {
            let mut other = cookie.to_vec();
            other[place] ^= 1;
            assert_eq!(answered(&with_cookie(&other)), Some(answer.clone()));
        }
    }

    #[test]
    fn nobody_gets_more_than_they_sent() {
        assert_eq!(answered(&plain(16)), None);
    }

    #[test]
    fn stumps_and_nonces_of_a_wrong_length_are_not_answered() {
        let whole = plain(32);
        for length in 0..whole.len() {
            assert_eq!(answered(whole.get(..length).unwrap()), None);
        }
        assert_eq!(answered(&plain(15)), None);
    }

    #[test]
    fn there_are_secrets_and_they_have_a_length() {
        assert!(Challenge::new(&[], &HEAD).is_none());
        assert!(Challenge::new(&[(0, vec![1; 33])], &HEAD).is_none());
    }
}
