"""Plans: the one in the documentation is read, every mistake is named."""

from pathlib import Path

import pytest

from relun.pool.dr_plan import ClonePlan, Plan, VmPlan, read_plan
from relun.pool.errors import PoolRefused
from relun.pool.waiting import WaitFor

TARGET = "iscsi://192.0.2.200/iqn.2010-01.com.example:copy/1"
SMALL = f"""
title = "files"

[[clone]]
target = "{TARGET}"

[[vm]]
vm = "files"
"""
WHOLE = f"""
title = "File servers, quarterly"
pool = "https://pool.example.org"
user = "dr"

[[clone]]
target = "iscsi://backup@192.0.2.200/iqn.2010-01.com.example:copy/1"
sr_uuid = "3f1c1e52-8a0b-4d0e-9a55-0d7c3a1f9b11"
name = "files (copy)"
hosts = ["host1", "host2"]
drop_snapshots = true

[[clone]]
target = "{TARGET}"

[nics]
network = "isolated"
connect = true

[[vm]]
vm = "domain controller"
wait_for = "agent"
timeout = 600

[[vm]]
vm = "files"
name = "files, tested"
metadata = "files.xva"
partial = true
wait_for = "tcp"
port = 445
address = "192.0.2.17"

[[vm]]
vm = "printer"
wait_for = "nothing"

[after]
remove_vms = true
detach = false
"""


def plan_of(tmp_path: Path, text: str) -> Plan:
    file = tmp_path / "plan.toml"
    file.write_text(text, encoding="utf-8")
    return read_plan(str(file))


def test_a_small_plan(tmp_path: Path) -> None:
    assert plan_of(tmp_path, SMALL) == Plan("files", (ClonePlan(TARGET),), (VmPlan("files"),))


def test_a_plan_with_everything(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, WHOLE)
    assert plan == Plan(
        "File servers, quarterly",
        (
            ClonePlan(
                "iscsi://backup@192.0.2.200/iqn.2010-01.com.example:copy/1",
                "3f1c1e52-8a0b-4d0e-9a55-0d7c3a1f9b11",
                "files (copy)",
                ("host1", "host2"),
                True,
            ),
            ClonePlan(TARGET),
        ),
        (
            VmPlan("domain controller", WaitFor(timeout=600.0)),
            VmPlan(
                "files",
                WaitFor(445, "192.0.2.17", 300.0),
                "files.xva",
                "files, tested",
                True,
            ),
            VmPlan("printer", None),
        ),
        "https://pool.example.org",
        "dr",
        "isolated",
        True,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title", "titel", "title is missing"),
        ('title = "files"', "title = 3", "title has to be a text"),
        ('title = "files"', 'title = "files"\nfoo = 1', "foo is not known here"),
        ("title =", "title", "line 2"),
        ("[[clone]]", "[clone]", "clone has to be tables"),
        (f'[[clone]]\ntarget = "{TARGET}"', "", "clone is missing"),
        ("[[vm]]", "[[vms]]", "vm is missing"),
        (TARGET, "iscsi://192.0.2.200", "[[clone]] number 1: target has to be the address"),
        (TARGET, "/dev/sdb", "[[clone]] number 1: target has to be the address"),
        (TARGET, TARGET.replace("//", "//me%secret@"), "a password in target"),
        (TARGET, TARGET + "?target_user=a&target_password=secret", "a password in target"),
        ('vm = "files"', 'vm = "files"\ntiemout = 3', "[[vm]] number 1: tiemout is not known"),
        ('vm = "files"', 'vm = "files"\npassword = "x"', "password is not known"),
        ('vm = "files"', 'vm = "files"\ntimeout = 0', "timeout has to be a number from 1"),
        ('vm = "files"', 'vm = "files"\ntimeout = true', "timeout has to be a number from 1"),
        ('vm = "files"', 'vm = "files"\ntimeout = 1.5', "timeout has to be a whole number"),
        ('vm = "files"', 'vm = "files"\nwait_for = "ping"', "one of agent, tcp, nothing"),
        ('vm = "files"', 'vm = "files"\nwait_for = "tcp"', "port has to be a number from 1"),
        ('vm = "files"', 'vm = "files"\nport = 445', "port is not known here"),
        ('vm = "files"', 'vm = "files"\npartial = "yes"', "partial has to be true or false"),
        ('vm = "files"', 'vm = "files"\n[[vm]]\nvm = "files"', "a vm is named twice"),
        ('vm = "files"', 'vm = "files"\n[nics]\nnetworks = "x"', "[nics]: networks is not known"),
        ('vm = "files"', 'vm = "files"\n[after]\nremove_vms = false', "detach needs remove_vms"),
        ("target =", 'hosts = "host1"\ntarget =', "hosts has to be a list"),
        ("target =", "hosts = [1]\ntarget =", "hosts has to be a list of texts"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SMALL
    with pytest.raises(PoolRefused) as caught:
        plan_of(tmp_path, SMALL.replace(old, new, 1))
    assert caught.value.code == "pool-plan"
    assert caught.value.fields["file"] == str(tmp_path / "plan.toml")
    assert said in caught.value.fields["reason"]
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(PoolRefused) as caught:
        read_plan(str(tmp_path / "none.toml"))
    assert caught.value.fields["reason"] == "No such file or directory"
    (tmp_path / "plan.toml").write_bytes(b"title = \xff")
    with pytest.raises(PoolRefused) as caught:
        read_plan(str(tmp_path / "plan.toml"))
    assert caught.value.code == "pool-plan"
