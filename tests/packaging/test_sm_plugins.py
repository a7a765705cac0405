"""The list of drivers that xapi accepts, on hosts of every kind. Runs on CPython 3.6 too."""

import importlib.util
import os
from typing import Any

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
_FILE = os.path.join(HERE, "..", "..", "packaging", "dom0", "sm_plugins.py")
_SPEC = importlib.util.spec_from_file_location("sm_plugins", _FILE)
assert _SPEC is not None and _SPEC.loader is not None
sm_plugins: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sm_plugins)

BASE = "ext nfs iscsi lvmoiscsi dummy file hba rawhba udev iso lvm lvmohba lvmofcoe shm smb"
XCP_NG = BASE + " cephfs glusterfs xfs zfs largeblock"
XOSTOR = BASE + " cephfs glusterfs xfs zfs ext4 largeblock linstor"
OURS = " relvmoiscsi relvmohba"


class Host:
    """A root folder with xapi's configuration."""

    def __init__(self, root: Any) -> None:
        self.root = str(root)
        self.folder = os.path.join(self.root, "etc", "xapi.conf.d")
        os.makedirs(self.folder)

    def main(self, text: str) -> None:
        """Write xapi.conf."""
        self._write(os.path.join(self.root, "etc", "xapi.conf"), text)

    def fragment(self, name: str, text: str) -> None:
        """Write a file of xapi.conf.d."""
        self._write(os.path.join(self.folder, name), text)

    def names(self) -> Any:
        """The names in xapi.conf.d."""
        return sorted(os.listdir(self.folder))

    def text(self, name: str = "99-zz-relun.conf") -> str:
        """A file of xapi.conf.d."""
        with open(os.path.join(self.folder, name)) as file:
            return file.read()

    def in_force(self) -> str:
        """The list as xapi would have it: files in order, the last list counts."""
        found = ""
        paths = [os.path.join(self.root, "etc", "xapi.conf")]
        paths += [os.path.join(self.folder, name) for name in self.names()]
        for path in paths:
            if os.path.isfile(path):
                with open(path) as file:
                    for line in file:
                        if line.startswith("sm-plugins="):
                            found = line[len("sm-plugins=") :].strip()
        return found

    def refresh(self) -> Any:
        """Run the helper."""
        return sm_plugins.main(["refresh", "--root", self.root])

    def remove(self) -> Any:
        """Run the helper."""
        return sm_plugins.main(["remove", "--root", self.root])

    @staticmethod
    def _write(path: str, text: str) -> None:
        with open(path, "w") as file:
            file.write(text)


@pytest.fixture
def host(tmp_path: Any) -> Host:
    """A host with nothing configured."""
    return Host(tmp_path)


@pytest.mark.parametrize("plugins", [BASE, XCP_NG])
def test_list_of_the_release_is_extended(host: Host, plugins: str) -> None:
    host.main("# log=…\nsm-plugins={}\nsm-dir=/opt/xensource/sm\n".format(plugins))
    assert host.refresh() == 0
    assert host.in_force() == plugins + OURS
    assert host.text().splitlines()[1].endswith("(/etc/xapi.conf), and relun's SR types.")


def test_list_of_xostor_survives_in_either_order(host: Host) -> None:
    host.main("sm-plugins={}\n".format(XCP_NG))
    host.refresh()
    host.fragment("99-enable-sm-driver-linstor.conf", "# DO NOT MODIFY\nsm-plugins=" + XOSTOR)
    host.refresh()
    assert host.in_force() == XOSTOR + OURS
    os.remove(os.path.join(host.folder, "99-enable-sm-driver-linstor.conf"))
    host.refresh()
    assert host.in_force() == XCP_NG + OURS


def test_list_that_comes_after_is_followed(host: Host) -> None:
    host.main("sm-plugins={}\n".format(BASE))
    host.refresh()
    host.fragment("zz-site.conf", "sm-plugins=ext moosefs\n")
    host.refresh()
    assert host.names() == ["zz-site.conf", "zz-site.conf-relun.conf"]
    assert host.in_force() == "ext moosefs" + OURS
    os.remove(os.path.join(host.folder, "zz-site.conf"))
    host.refresh()
    assert host.names() == ["99-zz-relun.conf"]
    assert host.in_force() == BASE + OURS


def test_later_file_without_a_list_changes_nothing(host: Host) -> None:
    host.main("sm-plugins={}\n".format(BASE))
    host.fragment("xenserver9.conf", "sm-dir=/usr/libexec/sm/drivers\n")
    host.refresh()
    assert "99-zz-relun.conf" in host.names()


@pytest.mark.parametrize("plugins", ["*", BASE + " ReLVMoISCSI RELVMOHBA"])
def test_nothing_is_written_where_the_types_are_in(host: Host, plugins: str) -> None:
    host.main("sm-plugins=ext\n")
    host.refresh()
    host.main("sm-plugins={}\n".format(plugins))
    assert host.refresh() == 0
    assert host.names() == []


def test_one_of_the_types_is_missing(host: Host) -> None:
    host.main("sm-plugins=ext relvmohba\n")
    host.refresh()
    assert host.in_force() == "ext relvmohba relvmoiscsi"


@pytest.mark.parametrize("main", [None, "sm-dir=/opt/xensource/sm\n", "# sm-plugins=ext\n"])
def test_no_list_is_made_where_there_is_none(host: Host, main: Any, capsys: Any) -> None:
    if main is not None:
        host.main(main)
    assert host.refresh() == 0
    assert host.names() == []
    assert "nothing to extend" in capsys.readouterr().out


def test_list_goes_with_the_last_other_list(host: Host) -> None:
    host.main("sm-plugins=ext\n")
    host.refresh()
    host.main("")
    host.refresh()
    assert host.names() == []


def test_second_run_writes_nothing(host: Host) -> None:
    host.main("sm-plugins={}\n".format(BASE))
    host.refresh()
    path = os.path.join(host.folder, "99-zz-relun.conf")
    before = os.stat(path)
    host.refresh()
    after = os.stat(path)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert after.st_mode & 0o777 == 0o644
    assert os.listdir(os.path.join(host.root, "etc")) != []
    assert sorted(os.listdir(os.path.join(host.root, "etc"))) == ["xapi.conf", "xapi.conf.d"]


def test_removal_leaves_what_others_wrote(host: Host) -> None:
    host.main("sm-plugins={}\n".format(BASE))
    host.fragment("10-site.conf", "log=syslog\n")
    host.fragment("zz-site.conf", "sm-plugins=ext\n")
    host.fragment("zz-site-relun.conf", "sm-plugins=ext somebody-elses\n")
    host.refresh()
    assert host.names()[-1] == "zz-site.conf-relun.conf"
    assert host.remove() == 0
    assert host.names() == ["10-site.conf", "zz-site-relun.conf", "zz-site.conf"]
    assert host.remove() == 0


def test_copy_of_the_list_under_another_name_counts(host: Host) -> None:
    host.main("sm-plugins=ext\n")
    host.refresh()
    host.fragment("99-zz-relun.conf.save", host.text())
    host.main("sm-plugins=ext nfs\n")
    host.refresh()
    # xapi reads the copy last: it is in force, and holds relun's types
    assert host.names() == ["99-zz-relun.conf.save"]
    assert host.in_force() == "ext" + OURS


@pytest.mark.parametrize(
    ("text", "plugins"),
    [
        ("sm-plugins=a b", ["a", "b"]),
        ("  sm-plugins \t=  a  b\t \n", ["a", "b"]),
        ("sm-plugins='a b'", ["a", "b"]),
        ('sm-plugins="a b" # not c', ["a", "b"]),
        ("sm-plugins=a\nsm-plugins=b\n", ["b"]),
        ("sm-plugins=", []),
        ("sm-plugins='", ["'"]),
        ("#sm-plugins=a", None),
        ("sm-plugins-more=a", None),
        ("sm-plugins a", None),
        ("x=sm-plugins=a", None),
        ("note sm-plugins=a", ["a"]),
        ("", None),
    ],
)
def test_a_line_is_read_as_xapi_reads_it(text: str, plugins: Any) -> None:
    assert sm_plugins.parse(text) == plugins


def test_bytes_that_are_no_text(host: Host) -> None:
    with open(os.path.join(host.root, "etc", "xapi.conf"), "wb") as file:
        file.write(b"# caf\xe9\nsm-plugins=ext \xe9\n")
    assert host.refresh() == 0
    with open(os.path.join(host.folder, "99-zz-relun.conf"), "rb") as file:
        assert file.read().endswith(b"sm-plugins=ext \xe9" + OURS.encode() + b"\n")


def test_folders_in_the_folder_are_passed_over(host: Host) -> None:
    host.main("sm-plugins=ext\n")
    os.mkdir(os.path.join(host.folder, "old"))
    assert host.refresh() == 0
    assert host.in_force() == "ext" + OURS


def test_failure_is_told_and_changes_nothing(host: Host, monkeypatch: Any, capsys: Any) -> None:
    host.main("sm-plugins=ext\n")

    def fail(_source: str, target: str) -> None:
        raise OSError(28, "No space left on device", target)

    monkeypatch.setattr(sm_plugins.os, "replace", fail)
    assert host.refresh() == 1
    assert "No space left on device" in capsys.readouterr().err
    assert host.names() == []
    assert sorted(os.listdir(os.path.join(host.root, "etc"))) == ["xapi.conf", "xapi.conf.d"]


@pytest.mark.parametrize("arguments", [[], ["list"], ["refresh", "--root"], ["refresh", "x"]])
def test_wrong_usage(arguments: Any, capsys: Any) -> None:
    assert sm_plugins.main(arguments) == 2
    assert "usage" in capsys.readouterr().err
