"""The xapi plugin ``relun`` of a host: relun's verbs, run in dom0 on the LUNs that it sees."""

import json
from typing import Any, NamedTuple

from relun.core.errors import Interrupted
from relun.core.finding import REFUSE, Finding
from relun.pool.connection import ApiFailure, Connection
from relun.pool.errors import PoolRefused

PLUGIN = "relun"
Answer = dict[str, Any]


class Plugin(NamedTuple):
    """The plugin on one host, reached through the pool's master."""

    connection: Connection
    host: str
    host_name: str

    def ask(self, function: str, **asked: Any) -> Answer:
        """Return a function's answer, an error's included.

        Raise ApiFailure, PoolRefused (pool-plugin-missing, pool-plugin).
        """
        arguments = {"request": json.dumps(asked)} if asked else {}
        try:
            text = self.connection.call("host.call_plugin", self.host, PLUGIN, function, arguments)
        except ApiFailure as failure:
            if failure.code == "XENAPI_MISSING_PLUGIN":
                raise PoolRefused("pool-plugin-missing", host=self.host_name) from failure
            raise
        try:
            found = json.loads(text)
            assert isinstance(found, dict)
        except (ValueError, AssertionError) as error:
            raise self._refused(function, "it is not JSON: " + str(text)[:80]) from error
        return found

    def run(self, function: str, **asked: Any) -> Answer:
        """Return a function's answer. Raise the error in it (PoolRefused, Interrupted) as well."""
        answer = self.ask(function, **asked)
        error = answer.get("error")
        if not error:
            return answer
        if error["changed"] or answer["exit"] == 3:
            raise Interrupted(error["code"], **error["fields"])
        findings = [
            Finding(
                found["code"],
                REFUSE,
                found["where"],
                -1 if found["offset"] is None else found["offset"],
                found["fields"],
            )
            for found in error["findings"]
        ]
        raise self._refused(function, error["title"], findings, error["code"])

    def _refused(
        self, function: str, said: str, findings: "list[Finding] | None" = None, reason: str = ""
    ) -> PoolRefused:
        fields = {"host": self.host_name, "function": function, "said": said, "reason": reason}
        return PoolRefused("pool-plugin", findings or (), **fields)
