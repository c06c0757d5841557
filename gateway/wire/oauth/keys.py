"""The keys that a client signs its assertions with, and the JWK Set by which servers know them.

SMART Backend Services: RS384 or ES384, a `kid` for each key, the public ones at a URL (SMART App Launch 2, "Client
Authentication: Asymmetric").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from gateway.errors import ConfigError
from gateway.wire.oauth.watched_file import Watched

PEM: Final = re.compile(r"-----BEGIN (?P<label>[A-Z ]+)-----.*?-----END (?P=label)-----", re.DOTALL)
MIN_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    kid: str
    algorithm: str
    """RS384 or ES384."""
    signs: bool
    """It has its private part, and its JWK does not say `"active": false`."""
    jwk: RSAKey | ECKey

    def published(self) -> dict[str, Any]:
        """The public JWK."""
        public = dict(self.jwk.as_dict(private=False))
        own = {"kid": self.kid, "use": "sig", "alg": self.algorithm, "key_ops": ["verify"]}
        return {name: public[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in public} | own


class KeyRing:
    """The keys in `paths`: each a PEM file, a JWK, a JWK Set, or a folder of these. Safe to ask often.

    The first key that can sign does; all are published. The kid of a PEM key is its RFC 7638 thumbprint. Files are
    read again when they change. Raises `ConfigError` when they cannot be used, or none of their keys can sign.
    """

    def __init__(self, paths: Sequence[Path], *, password: str | None = None) -> None:
        self._keys = Watched(paths, lambda files: _read(files, password))

    @property
    def signer(self) -> SigningKey:
        return next(key for key in self._keys.value() if key.signs)

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        return self._keys.value()


def key_set(rings: Sequence[KeyRing]) -> dict[str, Any]:
    """The JWK Set (RFC 7517 5) of all public keys, each once."""
    found = {key.kid: key.published() for ring in rings for key in ring.keys}
    return {"keys": list(found.values())}


def sign(key: SigningKey, claims: Mapping[str, Any], *, jwks_url: str = "") -> str:
    """A compact JWS of `claims` with `typ`, `kid` and, when it is known, `jku`."""
    header = {"alg": key.algorithm, "typ": "JWT", "kid": key.kid} | ({"jku": jwks_url} if jwks_url else {})
    return jwt.encode(header, dict(claims), key.jwk, algorithms=[key.algorithm])


def _read(files: Sequence[Path], password: str | None) -> tuple[SigningKey, ...]:
    keys: list[SigningKey] = []
    faults = []
    for file in files:
        try:
            keys += _keys_of(file.read_text(encoding="utf-8"), password)
        except OSError as error:
            faults.append(f"{file}: cannot be read ({error.strerror})")
        except (ValueError, TypeError, JoseError) as error:
            faults.append(f"{file}: {_why(error)}")
    if not faults and not any(key.signs for key in keys):
        faults.append(f"{', '.join(map(str, files)) or 'keys'}: holds no private key that may sign")
    if faults:
        raise ConfigError(faults)
    return tuple(keys)


class _NotUsable(ValueError):
    """A fault in our words; those of other libraries may quote the key."""


def _why(error: Exception) -> str:
    if isinstance(error, _NotUsable):
        return str(error)
    return "is no private key as PEM, JWK or JWK Set that can be read; if it is encrypted, check key_password"


def _keys_of(text: str, password: str | None) -> list[SigningKey]:
    if "-----BEGIN " in text:
        blocks = [match[0] for match in PEM.finditer(text) if "KEY" in match["label"]]
        return [_from_pem(block, password) for block in blocks]
    loaded = orjson.loads(text)
    listed = loaded.get("keys", [loaded]) if isinstance(loaded, dict) else []
    return [_from_jwk(one) for one in listed]


def _from_pem(block: str, password: str | None) -> SigningKey:
    secret = password if "ENCRYPTED" in block else None
    last: Exception = ValueError()
    for kind in (RSAKey, ECKey):
        try:
            return _key(kind.import_key(block, password=secret), {})
        except _NotUsable:
            raise
        except (ValueError, TypeError, JoseError) as error:
            last = error
    raise last


def _from_jwk(jwk: Any) -> SigningKey:
    kinds: dict[str, type[RSAKey | ECKey]] = {"RSA": RSAKey, "EC": ECKey}
    kind = kinds.get(str(jwk.get("kty"))) if isinstance(jwk, dict) else None
    if kind is None:
        raise _NotUsable("holds a JWK that is neither RSA nor EC")
    # Its use and operations are ours to say: a set may hold `key_ops: [verify]` where the private part stands too.
    plain = {name: value for name, value in jwk.items() if name not in ("active", "key_ops", "use", "alg")}
    return _key(kind.import_key(plain), jwk)


def _key(jwk: RSAKey | ECKey, written: Mapping[str, Any]) -> SigningKey:
    if isinstance(jwk, RSAKey):
        algorithm, bits = "RS384", jwk.raw_value.key_size
        if bits < MIN_RSA_BITS:
            raise _NotUsable(f"an RSA key of {bits} bits is too short; at least {MIN_RSA_BITS} are asked for")
    else:
        algorithm, curve = "ES384", jwk.curve_name
        if curve != "P-384":
            raise _NotUsable(f"an EC key on {curve} cannot sign ES384; it must be on P-384")
    if written.get("alg", algorithm) != algorithm:
        raise _NotUsable(f"a key is meant for {written['alg']}; SMART Backend Services take RS384 and ES384")
    kid = str(written.get("kid") or jwk.thumbprint())
    return SigningKey(kid, algorithm, jwk.is_private and written.get("active") is not False, jwk)
