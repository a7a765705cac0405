"""What every code about a pool says, means, and asks for; added to those of ``core.catalogue``."""

from relun.core.catalogue import Entry

ENTRIES: "dict[str, Entry]" = {
    "pool-package": Entry(
        "the XenAPI package for Python is not installed",
        "The pool's commands speak to xapi through its own client.",
        "pip install 'relun[pool]' (or pip install XenAPI).",
    ),
    "pool-unreachable": Entry(
        "{url} cannot be reached: {reason}",
        "No host of a pool answered at this address.",
        "Check the address, the network and that the toolstack of this host runs.",
    ),
    "pool-certificate": Entry(
        "the certificate of {url} is not to be trusted: {reason}",
        "relun checks who it speaks to before it tells a password. Hosts that were installed "
        "without a certificate of their own show one that nobody has signed.",
        "Give the certificate (or the authority's) with --ca FILE; --insecure does without.",
    ),
    "pool-login": Entry(
        "{url} does not let {user} in: {reason}",
        "xapi refused the name or the password.",
        "Check both; see docs/pool.md for where relun takes the password from.",
    ),
    "pool-stopped": Entry(
        "stopped by a signal before {step}",
        "The step that ran was ended first; then what had been done was taken back.",
        "",
    ),
    "pool-call": Entry(
        "{call} failed: {reason}",
        "xapi answered a call with an error.",
        "See the words of xapi, and /var/log/xensource.log and SMlog on the pool's master.",
    ),
}
