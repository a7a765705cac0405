"""Files of ``xe vm-export metadata=true``: read as they are, refused when they are not."""

import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest

from pool import metadata
from pool.metadata import Tables
from relun.pool.errors import PoolRefused
from relun.pool.metadata_file import from_file
from relun.pool.vm_record import VmRecord, assembled


def vm(name: str, number: int, **fields: Any) -> dict[str, Any]:
    return {
        "uuid": f"{number}0000000-0000-4000-8000-000000000000",
        "name_label": name,
        "is_a_template": False,
        "is_a_snapshot": False,
        "is_control_domain": False,
        "snapshot_time": xmlrpc.client.DateTime("19700101T00:00:00Z"),
        "HVM_shadow_multiplier": 1.5,
        "memory_static_max": "2147483648",
        "other_config": {"folder": "/<a&b>"},
        "platform": {},
        "affinity": "OpaqueRef:somewhere",
        "VBDs": [f"OpaqueRef:vbd{number}", f"OpaqueRef:cd{number}"],
        "VIFs": [f"OpaqueRef:vif{number}"],
        **fields,
    }


def tables() -> Tables:
    common = {"other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    disk = {"userdevice": "0", "type": "Disk", "VDI": "OpaqueRef:vdi", **common}
    drive = {"userdevice": "3", "type": "CD", "VDI": "OpaqueRef:iso", **common}
    return {
        "VM": {
            "OpaqueRef:1": vm("files", 1),
            "OpaqueRef:2": vm("twin", 2),
            "OpaqueRef:3": vm("twin", 3),
            "OpaqueRef:4": vm("a snapshot", 4, is_a_snapshot=True),
        },
        "VBD": {
            f"OpaqueRef:{kind}{number}": record
            for number in range(1, 5)
            for kind, record in (("vbd", disk), ("cd", drive))
        },
        "VDI": {"OpaqueRef:vdi": {"uuid": "v", "name_label": "root", "SR": "OpaqueRef:sr"}},
        "SR": {"OpaqueRef:sr": {"uuid": "s", "name_label": "iSCSI"}},
        "VIF": {
            f"OpaqueRef:vif{number}": {"device": "0", "network": "OpaqueRef:net", **common}
            for number in range(1, 5)
        },
        "network": {"OpaqueRef:net": {"uuid": "n", "name_label": "LAN"}},
    }


def exported(tmp_path: Path, mode: str = "w") -> str:
    file = tmp_path / "vm.xva"
    metadata.export(tables(), list(tables()["VM"]), file, mode)
    return str(file)


def same(found: VmRecord, wanted: VmRecord) -> bool:
    """References differ, the rest does not."""

    def plain(record: VmRecord) -> object:
        kept = {k: v for k, v in record.vm.items() if k not in ("VBDs", "VIFs", "affinity")}
        disks = [disk._replace(vbd={}) for disk in record.disks]
        nics = [nic._replace(vif={}) for nic in record.nics]
        return record.name, record.uuid, kept, disks, nics

    return plain(found) == plain(wanted) and len(found.drives) == len(wanted.drives)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("wanted", ["files", "10000000-0000-4000-8000-000000000000"])
def test_a_vm_of_a_file_is_that_of_the_pool(tmp_path: Path, wanted: str, mode: str) -> None:
    found = from_file(exported(tmp_path, mode), wanted)
    assert same(found, assembled(tables(), "OpaqueRef:1"))
    assert found.vm["other_config"] == {"folder": "/<a&b>"}
    assert found.vm["HVM_shadow_multiplier"] == 1.5
    assert found.vm["memory_static_max"] == "2147483648"
    assert found.disks[0][:4] == ("0", "v", "s", "root")
    assert found.nics[0][:3] == ("0", "n", "LAN")


def test_numbers_are_text_whatever_the_export_has(tmp_path: Path) -> None:
    record = {**vm("files", 1), "VBDs": [], "VIFs": [], "memory_static_max": 7}
    record["version"] = "7"
    objects = [{"class": "VM", "id": "Ref:0", "snapshot": record}]
    text = metadata.ova({"version": metadata.VERSION, "objects": objects})
    text = text.replace(b"<value>7</value>", b"<value><i4>7</i4></value>")
    metadata.write(text, tmp_path / "vm.xva")
    found = from_file(str(tmp_path / "vm.xva"), "files").vm
    assert found["memory_static_max"] == found["version"] == "7"
    assert found["is_a_template"] is False


def test_names_have_to_be_the_only_ones(tmp_path: Path) -> None:
    file = exported(tmp_path)
    with pytest.raises(PoolRefused) as caught:
        from_file(file, "twin")
    assert caught.value.code == "pool-several"
    with pytest.raises(PoolRefused) as caught:
        from_file(file, "a snapshot")
    assert caught.value.fields["reason"] == "no a snapshot, but files, twin, twin"


def damaged(kind: str, file: Path) -> None:
    """Write a file that is not what it has to be."""
    header: Any = {"version": metadata.VERSION, "objects": []}
    if kind == "no archive":
        file.write_bytes(b"x" * 2000)
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "cut":
        whole = file.with_suffix(".whole")
        metadata.export(tables(), ["OpaqueRef:1"], whole)
        file.write_bytes(whole.read_bytes()[:1500])
    elif kind == "cut gz":
        whole = file.with_suffix(".whole")
        metadata.export(tables(), ["OpaqueRef:1"], whole, "w:gz")
        file.write_bytes(whole.read_bytes()[:300])
    elif kind == "another member":
        metadata.write(b"x", file, name="disk/0")
    elif kind == "no XML":
        metadata.write(b"<value>", file)
    elif kind == "a document type":
        bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + metadata.ova(header)
        metadata.write(bomb, file)
    elif kind == "no header":
        metadata.write(metadata.ova({"a": "b"}), file)
    elif kind == "a text":
        metadata.write(metadata.ova("text"), file)  # type: ignore[arg-type]
    elif kind == "objects of no kind":
        metadata.write(metadata.ova({**header, "objects": ["x"]}), file)
    elif kind == "a VM without fields":
        header["objects"] = [{"class": "VM", "id": "Ref:0", "snapshot": {"uuid": "x"}}]
        metadata.write(metadata.ova(header), file)
    elif kind == "a VM without its VBD":
        lacking = tables()
        lacking["VBD"]["OpaqueRef:vbd1"] = {"type": "Disk", "VDI": "OpaqueRef:vdi"}
        metadata.export(lacking, ["OpaqueRef:1"], file)


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "no archive",
        "empty",
        "cut",
        "cut gz",
        "another member",
        "no XML",
        "a document type",
        "no header",
        "a text",
        "objects of no kind",
        "a VM without fields",
        "a VM without its VBD",
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "vm.xva"
    damaged(kind, file)
    with pytest.raises(PoolRefused) as caught:
        from_file(str(file), "files")
    assert caught.value.code == "pool-metadata"
    assert caught.value.fields["file"] == str(file)
    assert caught.value.fields["reason"]
