"""Every refusal before a write, one by one: it has its own code, and not one byte changes."""

import struct
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pytest

from relun.core import plan as plan_module
from relun.core import verbs
from relun.core.errors import Refused
from relun.core.journal.marker import MOST_MEMBERS
from relun.core.lvm2.checksum import lvm_crc
from relun.core.options import Options
from support import builder
from support.builder import (
    Journal,
    Plain,
    Pv,
    Qcow2,
    Raw,
    Record,
    Ring,
    Sr,
    Vhd,
    filesystem_sr,
    make_uuid,
    plain_group,
)
from support.clone import (
    GAP,
    MDA,
    NEW_SR,
    TREE,
    Devices,
    clones,
    codes,
    made,
    put_lv,
    rehead,
    relabel,
    resign,
    retext,
    revhd,
    sample,
    states,
)
from support.memory import MemoryDevice

ONE = (Vhd("disk"),)
TWO_AREAS = (Pv(mdas=2, mda_size=64 * 1024),)
Case = Callable[[Any], Devices]


def refused(devices: Sequence[MemoryDevice], **options: Any) -> Refused:
    """Resign, which is refused without a byte changed; return why."""
    before = states(devices)
    with pytest.raises(Refused) as caught:
        resign(devices, **options)
    assert states(devices) == before
    assert [device.traffic.writes for device in devices] == [0] * len(devices)
    assert not caught.value.changed
    return caught.value


def one(folder: Any, **fields: Any) -> Devices:
    return made(Sr(ONE, "one", **fields), folder)[1]


def with_label(change: Callable[[bytes], bytes]) -> Case:
    def case(folder: Any) -> Devices:
        devices = one(folder)
        relabel(devices[0], change)
        return devices

    return case


def with_header(change: Callable[[bytes], bytes]) -> Case:
    def case(folder: Any) -> Devices:
        devices = one(folder)
        rehead(devices[0], change)
        return devices

    return case


def with_text(change: Callable[[bytes], bytes], *volumes: Any) -> Case:
    def case(folder: Any) -> Devices:
        devices = made(Sr(volumes or ONE, "text"), folder)[1]
        retext(devices[0], change)
        return devices

    return case


def with_bytes(offset: int, data: bytes) -> Case:
    def case(folder: Any) -> Devices:
        devices = one(folder)
        devices[0].put(offset, data)
        return devices

    return case


def with_volumes(*volumes: Any, **fields: Any) -> Case:
    return lambda folder: made(Sr(volumes, "volumes", **fields), folder)[1]


def with_vhd(at: int, data: bytes, which: str = "left") -> Case:
    def case(folder: Any) -> Devices:
        built, devices = made(Sr(TREE, "tree"), folder)
        revhd(built, devices, built.names[which], at, data)
        return devices

    return case


def with_mgt(offset: int, data: bytes) -> Case:
    def case(folder: Any) -> Devices:
        built, devices = made(Sr(ONE, "mgt"), folder)
        put_lv(built, devices, "MGT", offset, data)
        return devices

    return case


def label_twice(folder: Any) -> Devices:
    devices = one(folder)
    devices[0].put(3 * 512, devices[0].get(512, 512))
    relabel(devices[0], lambda raw: raw[:8] + struct.pack("<Q", 3) + raw[16:], 3)
    return devices


def label_of_noise(folder: Any) -> Devices:
    devices = one(folder)
    noise = builder.make_uuid("noise", "1").encode("ascii") * 9
    tail = b"".join(struct.pack("<I", lvm_crc(noise[n : n + 30])) for n in range(81))
    relabel(devices[0], lambda raw: raw[:190] + tail[: 512 - 190])
    return devices


def areas_differ(folder: Any) -> Devices:
    devices = one(folder, pvs=TWO_AREAS)
    retext(devices[0], lambda text: text.replace(b'"VISIBLE"', b'"INVISIB"', 1))
    return devices


def two_groups(folder: Any) -> Devices:
    some = made(Sr(ONE, "some"), folder, "some")[1]
    return some + made(Sr(ONE, "other"), folder, "other")[1]


def same_twice(folder: Any) -> Devices:
    built, devices = made(Sr(ONE, "twice"), folder)
    return devices + clones(built)


def beside_empty(folder: Any) -> Devices:
    path = builder.empty(str(folder.join("empty")))
    return [*one(folder), MemoryDevice(path)]


def one_of_two(folder: Any) -> Devices:
    return made(Sr(TREE, "pair", pvs=(Pv(), Pv())), folder)[1][:1]


def orphan(folder: Any) -> Devices:
    devices = one(folder)
    rehead(devices[0], lambda raw: raw[:40] + bytes(48) + raw[88:])
    return devices


def truncated(folder: Any) -> Devices:
    (device,) = one(folder)
    device.size -= 8 << 20
    return [device]


def filled(offset: int, data: bytes) -> Case:
    def case(folder: Any) -> Devices:
        device = MemoryDevice(builder.empty(str(folder.join("lun"))))
        device.put(offset, data)
        return [device]

    return case


def dead_record(folder: Any) -> Devices:
    record = Record(make_uuid("x", "gone"), name="gone", vdi_type="vhd")
    return made(Sr(ONE, "dead", records=(record,)), folder)[1]


def huge_text(folder: Any) -> Devices:
    devices = one(folder, pvs=(Pv(mda_size=40 << 20),))
    where = struct.pack("<QQ", 512, 33 << 20)
    rehead(devices[0], lambda raw: raw[:40] + where + raw[56:])
    return devices


def no_pointer_room(folder: Any) -> Devices:
    return with_bytes(GAP, b"x")(folder)


def displaced(folder: Any) -> Devices:
    """A record whose VDI is only there as a leaf that waits for its deletion."""
    return made(Sr((Vhd("disk", prefix="VHD-OLD_"),), "old"), folder)[1]


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return a change that must find what it replaces."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


OTHER = make_uuid("another", "sr")
FINDINGS: List[Tuple[str, Case]] = [
    ("label-checksum", with_bytes(512 + 100, b"\1")),
    ("label-malformed", with_label(lambda raw: raw[:8] + struct.pack("<Q", 2) + raw[16:])),
    ("label-several", label_twice),
    ("mda-bounds", with_label(lambda raw: raw[:112] + struct.pack("<Q", 1 << 40) + raw[120:])),
    ("mda-bounds", with_label(lambda raw: raw[:104] + struct.pack("<Q", MDA + 256) + raw[112:])),
    (
        "mda-bounds",
        with_label(
            lambda raw: raw[:120] + struct.pack("<QQ", MDA + 8192, 8192) + bytes(16) + raw[152:]
        ),
    ),
    ("mda-malformed", with_header(lambda raw: raw[:4] + b"x" + raw[5:])),
    ("mda-checksum", with_bytes(MDA + 500, b"\1")),
    ("mda-text-bounds", with_header(lambda raw: raw[:40] + struct.pack("<Q", 100) + raw[48:])),
    ("mda-text-bounds", huge_text),
    ("mda-text-checksum", with_bytes(MDA + 700, b"\1")),
    ("mda-differ", areas_differ),
    ("text-syntax", with_text(swap(b"{", b"="))),
    ("text-value", with_text(swap(b"extent_size = ", b"extent_sise = "))),
    ("text-value", with_text(swap(b"seqno", b"seqmo"))),
    ("vg-several", two_groups),
    ("vg-exported", with_volumes(*ONE, vg_status=("EXPORTED", "READ", "WRITE"))),
    ("vg-exported", with_volumes(*ONE, pvs=(Pv(status=("ALLOCATABLE", "EXPORTED")),))),
    ("vg-owned", with_volumes(*ONE, vg_lines=('system_id = "host-7"',))),
    ("vg-owned", with_volumes(*ONE, vg_lines=('lock_type = "sanlock"',))),
    ("vg-owned", with_volumes(*ONE, vg_status=("CLUSTERED", "READ", "WRITE"))),
    ("vg-historical", with_volumes(*ONE, vg_lines=("historical_logical_volumes { a { b = 1 } }",))),
    ("pv-missing", one_of_two),
    ("pv-missing", with_volumes(*ONE, pvs=(Pv(flags=("MISSING",)),))),
    ("pv-twice", same_twice),
    ("pv-foreign", beside_empty),
    ("pv-truncated", truncated),
    ("lv-segment", with_volumes(*ONE, Plain("mirror", segment_type="raid1"))),
    ("lun-empty", filled(0, b"")),
    ("lun-foreign", filled(0, b"XFSB")),
    ("lun-foreign", filled(1024 + 56, b"\x53\xef")),
    ("lun-foreign", filled(512, b"EFI PART")),
    ("lun-foreign", filled(510, b"\x55\xaa")),
    ("lun-foreign", filled(70000, b"who knows")),
    ("sr-gfs2", lambda folder: [MemoryDevice(builder.gfs2(str(folder.join("lun"))))]),
    ("sr-none", lambda folder: made(plain_group(), folder)[1]),
    ("sr-none", orphan),
    ("sr-none", with_volumes(*ONE, vg_name="VG_XenStorage-not-a-uuid")),
    ("sr-filesystem", lambda folder: made(filesystem_sr(), folder)[1]),
    ("sr-filesystem", lambda folder: made(filesystem_sr("XSLocalLargeBlock-"), folder)[1]),
    ("sr-filesystem", lambda folder: [sample("ext")]),
    ("sr-xlvhd", with_mgt(512 + 150, b"<initial_allocation>1</initial_allocation>")),
    ("mgt-header", with_mgt(0, b"YSSM")),
    ("mgt-legacy", with_mgt(0, b"XSSM\0\0\1\0")),
    ("mgt-short", with_mgt(0, b"XSSM:512000000 :1:2".ljust(512))),
    ("mgt-dead-record", dead_record),
    ("mgt-dead-record", displaced),
    ("vhd-footers", with_volumes(Vhd("disk", footers="dead-both"))),
    ("vhd-footers", with_volumes(Raw("disk", prefix="VHD-", size=512), extent_size=512)),
    ("vhd-poisoned", with_volumes(Vhd("disk", footers="poison"))),
    ("vhd-type", with_vhd(60, struct.pack(">I", 2))),
    ("vhd-header", with_vhd(512, b"x")),
    ("vhd-locator", with_vhd(512 + 576, b"Zip!")),
    ("lv-range", with_vhd(16, struct.pack(">Q", 1 << 40))),
    ("qcow2-header", with_volumes(Raw("disk", prefix="QCOW2-"))),
    ("qcow2-external-data", with_volumes(Qcow2("disk", data_file=True))),
    ("parent-name", with_volumes(Vhd("a"), Vhd("b", parent="a", parent_name="elsewhere"))),
    ("journal-undo", with_volumes(*ONE, Journal("clone", "disk", payload=("disk", "disk")))),
    ("journal-undo", with_volumes(*ONE, Journal("leaf", "disk", payload=("disk",)))),
    ("journal-undo", with_volumes(*ONE, Journal("leaf", "disk", payload=("disk",), in_name=True))),
    ("journal-payload", with_volumes(*ONE, Journal("clone", "disk"))),
    ("journal-payload", with_volumes(*ONE, Journal("leaf", "disk", value="7"))),
    ("journal-resize", with_volumes(*ONE, Journal("jvhd", "disk"))),
]


@pytest.mark.parametrize("code, case", FINDINGS, ids=[code for code, _case in FINDINGS])
def test_finding_forbids(code: str, case: Case, tmpdir: Any) -> None:
    error = refused(case(tmpdir))
    assert error.code == "refused"
    assert code in codes(error.findings)
    expected = {
        "journal-payload": {"journal-payload", "journal-undo"},
        "vg-several": {"vg-several", "pv-foreign"},
    }
    assert set(codes(error.findings)) <= expected.get(code, {code})


def test_unmapped_volume(tmpdir: Any) -> None:
    """A segment without stripes: neither its type nor its bytes are known."""
    built, devices = made(Sr(ONE, "zero"), tmpdir)
    name = built.names["disk"].encode("ascii")

    def change(text: bytes) -> bytes:
        head, found, tail = text.partition(name + b" {")
        assert found
        start = tail.index(b"stripes = [")
        cut = tail[:start] + tail[tail.index(b"]", start) + 1 :]
        return head + found + cut.replace(b'"striped"', b'"zero"', 1)

    retext(devices[0], change)
    assert set(codes(refused(devices).findings)) == {"lv-segment", "lv-range"}


def test_truncated_in_the_middle_of_a_volume(tmpdir: Any) -> None:
    built, devices = made(Sr(ONE, "short"), tmpdir)
    ((_pv, start, size),) = built.lvs[built.names["disk"]].runs
    devices[0].size = start + size - 512
    findings = refused(devices).findings
    assert set(codes(findings)) == {"pv-truncated"}
    there = devices[0].size  # each finding says how much is missing
    assert all(f.fields["end"] > there == f.fields["size"] for f in findings)


def test_evidence_has_offset_and_fields(tmpdir: Any) -> None:
    built, devices = made(Sr(TREE, "tree"), tmpdir)
    revhd(built, devices, built.names["left"], 512, b"x")
    (finding,) = refused(devices).findings
    ((_pv, start, _size),) = built.lvs[built.names["left"]].runs
    assert (finding.where, finding.offset) == (built.names["left"], start + 512)


def test_all_reasons_are_told_at_once(tmpdir: Any) -> None:
    volumes = (*ONE, Vhd("dead", footers="dead-both"), Journal("jvhd", "disk"))
    devices = made(Sr(volumes, "many", vg_lines=('system_id = "x"',)), tmpdir)[1]
    assert codes(refused(devices).findings) == ["journal-resize", "vg-owned", "vhd-footers"]


def many_members(tmpdir: Any) -> List[MemoryDevice]:
    """A VG of 256 LUNs; the volumes are on the first."""
    return made(Sr(ONE, "one", pvs=(Pv(),) + (Pv(size=64 << 20),) * 255), tmpdir)[1]


REFUSED: List[Tuple[str, Case, Dict[str, Any]]] = [
    ("sr-uuid-invalid", one, {"sr_uuid": "ABCDEF01-2222-4333-8444-555555555555"}),
    ("sr-uuid-same", one, {"sr_uuid": make_uuid("one", "sr")}),
    ("map-invalid", one, {"id_map": {"no": "uuid"}}),
    ("map-invalid", one, {"id_map": {NEW_SR: NEW_SR}}),
    ("map-invalid", one, {"id_map": {make_uuid("one", "sr"): OTHER}}),
    ("map-unused", one, {"id_map": {make_uuid("no", "vdi"): OTHER}}),
    ("journal-gap", no_pointer_room, {}),
    ("journal-gap", with_bytes(GAP + 1000, b"x"), {}),
    ("label-room", label_of_noise, {}),
    ("members-many", many_members, {}),
    ("mda-full", with_volumes(*ONE, pvs=(Pv(mda_size=0),), ring=Ring(spare=512)), {}),
]


@pytest.mark.parametrize(
    "code, case, options",
    REFUSED,
    ids=[code for code, _case, _options in REFUSED],
)
def test_plan_is_refused(code: str, case: Case, options: Dict[str, Any], tmpdir: Any) -> None:
    assert refused(case(tmpdir), **options).code == code


def test_as_many_luns_as_a_marker_counts(tmpdir: Any, monkeypatch: Any) -> None:
    """A byte counts to 255; that many are resigned, and of one more it is told how many."""
    assert MOST_MEMBERS == 255
    devices = made(Sr(ONE, "pair", pvs=(Pv(), Pv())), tmpdir)[1]
    monkeypatch.setattr(plan_module, "MOST_MEMBERS", 2)
    assert verbs.plan(devices, Options(sr_uuid=NEW_SR)).change.new_sr == NEW_SR
    monkeypatch.setattr(plan_module, "MOST_MEMBERS", 1)
    error = refused(devices)
    assert (error.code, error.fields["device"]) == ("members-many", devices[0].path)
    assert (error.fields["luns"], error.fields["most"]) == (2, 1)


@pytest.mark.parametrize("new_key, kind", [("right", "old"), ("left", "new")])
def test_collision(new_key: str, kind: str, tmpdir: Any) -> None:
    """A new id that is an old one here, and one new id for two disks."""
    built, devices = made(Sr(TREE, "tree"), tmpdir)
    target = built.uuids["right"] if kind == "old" else OTHER
    chosen = {built.uuids["left"]: target}
    if kind == "new":
        chosen[built.uuids["right"]] = target
    error = refused(devices, id_map=chosen)
    assert error.code == "id-collision"
    assert error.fields["kind"] == "vdi"


def test_collision_of_lvm_ids(tmpdir: Any) -> None:
    built, devices = made(Sr(TREE, "tree"), tmpdir)
    assert refused(devices, id_map={built.pv_uuids[0]: built.vg_uuid}).code == "id-collision"


def test_journal_space_missing(tmpdir: Any) -> None:
    """The ring has room for the two texts, and for nothing beside them."""
    built = made(Sr(ONE, "tight"), tmpdir, "measure")[0]
    room = -(-len(built.text) // 512) * 512
    ring = Ring(spare=room + 512, filled=True)
    devices = made(Sr(ONE, "tight", pvs=(Pv(mda_size=0),), ring=ring), tmpdir)[1]
    end = devices[0].size
    devices[0].put(end - 512, b"x" * 512)
    assert refused(devices).code == "journal-space"


def test_pending_journals_and_dropped_snapshots(tmpdir: Any) -> None:
    error = refused([sample("journals")], force_journals=True, drop_snapshots=True)
    assert set(codes(error.findings)) == {"drop-with-journals"}


def test_payload_unknown_is_not_forced(tmpdir: Any) -> None:
    devices = made(Sr((*ONE, Journal("clone", "disk")), "j"), tmpdir)[1]
    assert codes(refused(devices, force_journals=True).findings) == ["journal-payload"]


@pytest.mark.parametrize("name", ["journals", "ext"])
def test_samples_that_must_be_refused(name: str) -> None:
    expected = {"journals": "journal-undo", "ext": "sr-filesystem"}[name]
    assert set(codes(refused([sample(name)]).findings)) == {expected}


def test_record_without_room_for_its_mark(tmpdir: Any) -> None:
    """To mark a record as deleted takes a byte that its full sector has not."""
    snap = make_uuid("full", "vdi/snap").encode("ascii")
    fields = b"<uuid>" + snap + b"</uuid><is_a_snapshot>1</is_a_snapshot><deleted></deleted>"
    second = fields + b"<type>" + b"u" * (512 - len(fields) - 19) + b"</type></vdi>"
    assert len(second) == 512
    volumes = (Vhd("disk"), Vhd("snap", record=Record("snap", second=second)))
    error = refused(made(Sr(volumes, "full"), tmpdir)[1], drop_snapshots=True)
    assert error.code == "mgt-room"


def test_cancelled_before_it_is_hidden(tmpdir: Any) -> None:
    devices = one(tmpdir)
    with pytest.raises(Refused) as caught:
        verbs.resign(devices, Options(sr_uuid=NEW_SR), lambda: True)
    assert caught.value.code == "cancelled"
    assert states(devices) == [{}]


@pytest.mark.parametrize("offset", [512 + 40, MDA + 60])
def test_changed_meanwhile(offset: int, tmpdir: Any) -> None:
    """Another writer comes in between the reading and the journal."""
    (device,) = one(tmpdir)
    foreign = bytes(b ^ 1 for b in device.get(offset, 4))
    flush = device._flush

    def meddle() -> None:
        if device.get(offset, 4) != foreign:
            device.put(offset, foreign)
        flush()

    device._flush = meddle  # type: ignore[method-assign]
    with pytest.raises(Refused) as caught:
        resign([device])
    assert caught.value.code == "changed-meanwhile"
    device.put(offset, bytes(b ^ 1 for b in foreign))
    assert states([device]) == [{}]
