"""Names and passwords for CHAP, and the name of the initiator. Nothing here is ever shown."""

from relun.core.hints import NamedTuple


class Login(NamedTuple):
    """``user`` proves itself to the target; with mutual CHAP ``target_user`` does it to relun."""

    user: str = ""
    password: str = ""
    target_user: str = ""
    target_password: str = ""
    initiator: str = ""  # IQN; arrays decide by it what a host may see

    def __repr__(self) -> str:
        return "Login(user={!r}, target_user={!r}, …)".format(self.user, self.target_user)

    def __str__(self) -> str:
        return repr(self)

    def filled(self, other: "Login") -> "Login":
        """Return this login with what it lacks taken from another."""
        return Login(*(mine or theirs for mine, theirs in zip(self, other)))


def parse_login(text: str) -> Login:
    """Parse a password file: lines ``key = value``, # for a comment. Raise ValueError."""
    known = dict.fromkeys(Login._fields, "")
    for number, line in enumerate(text.splitlines(), 1):
        key, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals or key.strip() not in known:  # the line itself may be a password
            raise ValueError("line {}: not one of {} = …".format(number, ", ".join(sorted(known))))
        known[key.strip()] = value.strip()
    return Login(**known)
