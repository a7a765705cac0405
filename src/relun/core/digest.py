"""SHA-1, for name-based uuids (RFC 4122) and the journal's digest."""

try:  # the bare C module: loading hashlib takes longer than a whole resign
    from _sha1 import sha1  # type: ignore[import-not-found]
except ImportError:  # a build of CPython without it
    from hashlib import sha1

__all__ = ["sha1"]
