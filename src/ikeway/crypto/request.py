# SPDX-License-Identifier: Apache-2.0
"""Certificate requests: a public key, the names that its owner wants, and a proof (RFC 2986)."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from ikeway.crypto.certificate import san_identity
from ikeway.crypto.fields import common_name, general_names
from ikeway.crypto.keypair import PrivateKey, PublicKey
from ikeway.model.errors import AuthenticationError, ConfigError
from ikeway.model.identity import Identity


def make_request(key: PrivateKey, names: Sequence[Identity]) -> bytes:
    """Return a request for a certificate for the key, as PEM.

    Raises:
        ValueError: a name that no subjectAltName can carry.
    """
    sans = [san for name in names for san in general_names(name)]
    subject = common_name(str(names[0]))
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    return builder.sign(key.handle, key.digest).public_bytes(Encoding.PEM)


def load_request(octets: bytes) -> tuple[PublicKey, tuple[Identity, ...]]:
    """Return the key and the names of a request, PEM or DER, whose owner has the private key.

    Raises:
        ConfigError: it is none, or the signature does not verify.
    """
    load = x509.load_pem_x509_csr if b"-----BEGIN" in octets else x509.load_der_x509_csr
    try:
        request = load(octets)
        if not request.is_signature_valid:
            raise ConfigError("the certificate request is not signed with its own key")
        public = PublicKey.of(request.public_key())
        names = _names(request)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise ConfigError(f"no certificate request that we can read: {error}") from error
    except AuthenticationError as error:
        raise ConfigError(f"the certificate request: {error.reason}") from error
    return public, names


def _names(request: x509.CertificateSigningRequest) -> tuple[Identity, ...]:
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(identity for name in found if (identity := san_identity(name)))
