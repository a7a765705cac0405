"""The xapi plugin ``relun``: the engine's verbs by host.call_plugin."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from dom0.test_contract import SENTENCE, create, unchanged
from support import compare, golden
from xapi.site import Lun, Site

NEW = "5eed5eed-0000-4000-8000-0000000000aa"


def call(site: Site, function: str, **arguments: str) -> Any:
    """host.call_plugin on the master; the answer as an object."""
    session = site.client()
    master = site.master.reference
    return json.loads(session.xenapi.host.call_plugin(master, "relun", function, arguments))


def device(site: Site, lun: Lun) -> str:
    """A device of a LUN as udev names it, as if the host had logged in."""
    folder = site.folder / "by-id"
    folder.mkdir(exist_ok=True)
    path = folder / f"scsi-{lun.scsi_id}"
    if not path.exists():
        path.symlink_to(lun.file)
    return str(path)


def known_as(site: Site, lun: Lun, uuid: str) -> str:
    """Let the pool's database know a LUN as an SR's."""
    session = site.client()
    sr: str = session.xenapi.SR.introduce(uuid, "known", "", "lvmoiscsi", "user", True, {})
    record = {"SR": sr, "host": site.master.reference, "device_config": lun.config}
    session.xenapi.PBD.create(record)
    return sr


def test_version(site: Site) -> None:
    answer = call(site, "version")
    assert answer["functions"] == sorted(
        ["inspect", "plan", "resign", "recover", "undo", "verify", "conflicts", "version"]
    )


def test_resign_verify_undo(site: Site) -> None:
    lun = site.lun("chain")
    path = device(site, lun)
    planned = call(site, "plan", device=path, **{"sr-uuid": NEW})
    assert unchanged(lun, "chain")
    assert planned["plan"]["new_sr"] == NEW
    answer = call(site, "resign", device=path, **{"sr-uuid": NEW})
    assert answer["exit"] == 0
    assert answer["outcome"]["action"] == "resigned"
    assert answer["outcome"]["ids"] == planned["plan"]["ids"]
    assert call(site, "inspect", device=path)["repository"]["sr_uuid"] == NEW
    checked = call(site, "verify", device=path, against=golden.image("chain"))
    assert (checked["exit"], checked["differences"]) == (0, [])
    again = call(site, "resign", device=path)
    assert (again["exit"], again["error"]["code"]) == (1, "already-resigned")
    assert call(site, "undo", device=path)["outcome"]["action"] == "undone"
    assert unchanged(lun, "chain")
    assert call(site, "verify", device=path, against=path)["exit"] == 4


def test_request_as_json(one_site: Site) -> None:
    lun = one_site.lun("single")
    old = golden.manifest("single")["sr_uuid"]
    vdi = next(iter(golden.manifest("single")["vdis"]))[len("VHD-") :]
    request = {
        "device": device(one_site, lun),
        "map": {old: NEW, vdi: NEW[:-2] + "bb"},
        "drop-cbt": True,
        "label": "{name} of {date}",
    }
    answer = call(one_site, "resign", request=json.dumps(request))
    assert answer["outcome"]["new_sr"] == NEW
    assert answer["outcome"]["ids"]["vdi"][vdi] == NEW[:-2] + "bb"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"device": "/x", "surprise": "1"},
        {"request": "{"},
        {"devices": "[1]"},
        {"device": "/x", "drop-cbt": "maybe"},
        {"device": "/x", "map": "[]"},
    ],
)
def test_bad_requests(one_site: Site, arguments: dict[str, str]) -> None:
    answer = call(one_site, "resign", **arguments)
    assert (answer["exit"], answer["error"]["code"]) == (1, "request-invalid")
    assert not answer["error"]["changed"]


def test_missing_device(one_site: Site) -> None:
    for arguments in ({"device": "/nowhere"}, {"SCSIid": "no-such-id"}):
        assert call(one_site, "inspect", **arguments)["error"]["code"] == "device-missing"


def test_lun_of_a_pbd_is_not_written_to(one_site: Site) -> None:
    lun = one_site.lun("single")
    path = device(one_site, lun)
    sr = known_as(one_site, lun, golden.manifest("single")["sr_uuid"])
    for function in ("resign", "undo"):
        answer = call(one_site, function, device=path)
        assert answer["error"]["code"] == "lun-in-use"
        assert golden.manifest("single")["sr_uuid"] in answer["error"]["title"]
    assert unchanged(lun)
    one_site.client().xenapi.SR.forget(sr)
    assert call(one_site, "resign", device=path)["exit"] == 0


def test_refusal_names_every_reason(one_site: Site) -> None:
    lun = one_site.lun("journals")
    answer = call(one_site, "resign", device=device(one_site, lun))
    assert answer["exit"] == 1
    assert {"journal-undo"} <= {finding["code"] for finding in answer["error"]["findings"]}
    assert all(finding["title"] for finding in answer["error"]["findings"])


def test_crash_then_recover_or_undo(one_site: Site) -> None:
    for verb, action in (("recover", "recovered"), ("undo", "undone")):
        lun = one_site.lun("single")
        path = device(one_site, lun)
        for at in range(1, 40):
            one_site.fault("pwrite", {"at": at, "do": "kill"})
            with pytest.raises(XenAPI.Failure):
                call(one_site, "resign", device=path, **{"sr-uuid": NEW})
            one_site.fault("pwrite", None)
            answer = call(one_site, "inspect", device=path)
            if answer["repository"]["state"] == "in-progress":
                break
        seen = call(one_site, "conflicts", devices=json.dumps([path]))
        assert [each["device"] for each in seen["in_progress"]] == [path]
        refused = call(one_site, "resign", device=path)
        assert (refused["exit"], refused["error"]["next"]) == (3, ["recover"])
        assert call(one_site, verb, device=path)["outcome"]["action"] == action
        assert unchanged(lun) == (verb == "undo")


def test_driver_finishes_what_the_plugin_began(one_site: Site) -> None:
    lun = one_site.lun("single")
    one_site.fault("pwrite", {"at": 5, "do": "kill"})
    with pytest.raises(XenAPI.Failure):
        call(one_site, "resign", device=device(one_site, lun), **{"sr-uuid": NEW})
    one_site.fault("pwrite", None)
    assert SENTENCE in create(one_site, lun.config)[2]


def test_two_calls_at_once(site: Site) -> None:
    """One of them resigns; the other is refused without having written a byte."""
    lun = site.lun("many" if site.world == "renamed" else "chain")
    path = device(site, lun)
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(call(site, "resign", device=path)))
        for _number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = sorted(answers, key=lambda answer: int(answer["exit"]))
    assert first["outcome"]["action"] == "resigned"
    assert second["error"]["code"] in ("device-busy", "already-resigned", "device-missing")
    shown = call(site, "inspect", device=path)["repository"]
    assert shown["sr_uuid"] == first["outcome"]["new_sr"]
    assert not [f for f in shown["findings"] if f["severity"] == "refuse"]


def test_conflicts_by_the_database(site: Site) -> None:
    sr_uuid = golden.manifest("single")["sr_uuid"]
    original, clone, other = site.lun("single"), site.lun("single"), site.lun("chain")
    known_as(site, original, sr_uuid)
    paths = [device(site, lun) for lun in (clone, original, other)]
    answer = call(site, "conflicts", devices=json.dumps([*paths, "/nowhere"]))
    (conflict,) = answer["conflicts"]
    assert conflict["sr_uuid"] == sr_uuid
    assert conflict["known"]
    roles = {copy["device"]: copy["role"] for copy in conflict["copies"]}
    assert roles == {paths[0]: "clone", paths[1]: "original"}
    assert [each["device"] for each in answer["unreadable"]] == ["/nowhere"]
    # The clone alone is one too: the database knows that its SR is elsewhere.
    (alone,) = call(site, "conflicts", device=paths[0])["conflicts"]
    assert [copy["role"] for copy in alone["copies"]] == ["clone"]
    assert call(site, "conflicts", device=paths[1])["conflicts"] == []
    assert call(site, "resign", device=paths[0])["exit"] == 0
    assert call(site, "conflicts", devices=json.dumps(paths))["conflicts"] == []


def test_conflicts_without_the_database(one_site: Site) -> None:
    luns = [one_site.lun("single"), one_site.lun("single")]
    paths = [device(one_site, lun) for lun in luns]
    (conflict,) = call(one_site, "conflicts", devices=json.dumps(paths))["conflicts"]
    assert not conflict["known"]
    assert {copy["device"] for copy in conflict["copies"]} == set(paths)


def test_unknown_function_and_missing_plugin(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.install(plugin=False)
    with pytest.raises(XenAPI.Failure, match="XENAPI_MISSING_PLUGIN"):
        call(site, "version")
    site.master.runner.dom0.install(drivers=False, whitelist=False)
    with pytest.raises(XenAPI.Failure, match="UNKNOWN_XENAPI_PLUGIN_FUNCTION"):
        call(site, "nonsense")


@pytest.mark.parametrize("image", golden.names())
@pytest.mark.parametrize("verb", ["inspect", "plan"])
def test_answers_are_those_of_the_command(one_site: Site, image: str, verb: str) -> None:
    """The plugin's objects are the ones that ``relun --json`` prints, up to the order of images."""
    path = golden.image(image)
    more = {} if verb == "inspect" else {"sr-uuid": NEW}
    answer = call(one_site, verb, device=path, **more)
    words = [f"--{key}={value}" for key, value in more.items()]
    command = [sys.executable, "-m", "relun", verb, path, *words, "--json"]
    source = Path(__file__).resolve().parent.parent.parent / "src"
    environment = dict(os.environ, PYTHONPATH=str(source))
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, check=False
    )
    printed = json.loads(done.stdout)
    for found in (answer, printed):
        if found["error"]:
            found["error"].pop("next")  # a command there, a function here
        for device in found["devices"]:  # after an error the command still knows sizes
            for key in ("size", "block_size", "serial", "scsi_id"):
                device.pop(key, None)
        if "repository" in found:
            found["repository"]["images"].sort(key=lambda image: str(image["lv"]))
    assert answer == printed


def test_kept_bytes_are_kept(one_site: Site) -> None:
    """What the plugin writes is what the plan says."""
    lun = one_site.lun("raw")
    path = device(one_site, lun)
    planned = call(one_site, "plan", device=path, **{"sr-uuid": NEW})["plan"]
    call(one_site, "resign", device=path, **{"sr-uuid": NEW})
    allowed = [(edit["offset"], edit["length"]) for edit in planned["edits"]]
    journal = planned["journal"]
    allowed += [(journal["offset"], journal["length"]), (2048, 2048)]
    found = compare.differences(str(lun.file), golden.image("raw"))
    hint = compare.outside(found, allowed)
    assert sum(length for _offset, length in hint) < 4096  # the text is longer by the device hint
