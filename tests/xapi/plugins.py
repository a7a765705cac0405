"""host.call_plugin: runs what is in a host's folder of plugins."""

import xmlrpc.client
from typing import Any

from xapi.failure import ApiError
from xapi.part import Part, unlocked


class Plugins(Part):
    """host.call_plugin."""

    @unlocked
    def host_call_plugin(
        self, host: str, plugin: str, function: str, arguments: dict[str, str]
    ) -> str:
        """host.call_plugin."""
        runner = self.pool.live_host(host).runner
        path = runner.dom0.plugins / plugin
        if not path.exists():
            raise ApiError("XENAPI_MISSING_PLUGIN", plugin)
        session = self.pool.new_session()
        try:
            argument = xmlrpc.client.dumps((session, arguments), function)
            ran = runner.run(path, argument, str(runner.dom0.sm_dir))
        finally:
            self.pool.end_session(session)
        try:
            (answer,), _method = xmlrpc.client.loads(ran.stdout)
        except Exception as error:
            text = [ran.stdout, ran.stderr]
            raise ApiError("XENAPI_PLUGIN_FAILURE", "non-zero exit", *text) from error
        found: Any = answer
        if found["Status"] != "Success":
            raise ApiError(*found["ErrorDescription"])
        value: str = found["Value"]
        return value
