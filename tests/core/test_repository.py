"""What a set of LUNs is found to hold: kinds, volumes, and faults that are told and kept."""

import struct
from typing import Any, Callable, List, Tuple

import pytest

from relun.core import repository as repository_module
from relun.core import verbs
from relun.core.finding import NOTE, REFUSE, WARN
from relun.core.repository import (
    DAMAGED,
    EMPTY,
    FILE_SR,
    FOREIGN,
    LVM_SR,
    ORPHAN_PV,
    PLAIN_LVM,
    Repository,
)
from support import builder, golden
from support.builder import (
    Cbt,
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
    special,
)
from support.clone import (
    MDA,
    TREE,
    Devices,
    clones,
    codes,
    get_lv,
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


def found(folder: Any, *volumes: Any, **fields: Any) -> Repository:
    return verbs.inspect(made(Sr(volumes, "found", **fields), folder)[1])


def volume(repository: Repository, name: str) -> Any:
    return next(v for v in repository.volumes if v.lv.name == name)


@pytest.mark.parametrize("name", golden.names())
def test_samples_are_read_without_a_surprise(name: str) -> None:
    """Of each sample every fact that LVM reported, and only the faults that it was made with."""
    facts = golden.manifest(name)
    repository = verbs.inspect([sample(name)])
    assert repository.kind == (FILE_SR if name == "ext" else LVM_SR)
    assert repository.vg is not None and repository.vg.name == facts["vg"]["vg_name"]
    assert repository.sr_uuid == facts["vg"]["vg_name"][-36:]
    expected = {
        "raw": {"mgt-vdi-type"},  # a raw disk that became the base of a VHD of its name
        "chain": {"mgt-snapshot-of"},
        "journals": {
            "journal-undo",
            "journal-pending",
            "vhd-primary-dead",  # its volume is growing: the footer is not at the new end yet
            "mgt-no-record",
        },
        "ext": {"sr-filesystem"},
    }.get(name, set())
    assert set(codes(repository.findings)) == expected


def test_kinds(tmpdir: Any) -> None:
    def kind(sr: Sr) -> Tuple[str, str]:
        repository = verbs.inspect(made(sr, tmpdir)[1])
        return repository.kind, repository.filesystem

    assert kind(Sr(ONE, "k")) == (LVM_SR, "")
    assert kind(filesystem_sr()) == (FILE_SR, "ext")
    assert kind(plain_group()) == (PLAIN_LVM, "")
    empty = builder.empty(str(tmpdir.join("empty")))
    assert verbs.inspect([MemoryDevice(empty)]).kind == EMPTY
    foreign = MemoryDevice(empty)
    foreign.put(0, b"XFSB")
    assert (verbs.inspect([foreign]).kind, verbs.inspect([foreign]).filesystem) == (FOREIGN, "xfs")


def test_lun_of_no_size_and_of_one_sector(tmpdir: Any) -> None:
    path = builder.empty(str(tmpdir.join("small")), 512)
    device = MemoryDevice(path)
    assert verbs.inspect([device]).kind == EMPTY
    device.size = 0
    assert verbs.inspect([device]).kind == EMPTY


def without_text(raw: bytes) -> bytes:
    return raw[:40] + bytes(48) + raw[88:]


def test_pv_in_no_group(tmpdir: Any) -> None:
    (device,) = made(Sr(ONE, "orphan"), tmpdir)[1]
    rehead(device, without_text)
    repository = verbs.inspect([device])
    assert (repository.kind, codes(repository.findings)) == (ORPHAN_PV, ["sr-none"])
    assert repository.behind_extents(0) == []
    assert repository.mgt is None


def test_pv_that_only_says_that_others_know(tmpdir: Any) -> None:
    """One LUN of several whose area is ignored: no refusal of its own, but no VG either."""
    devices = made(Sr(TREE, "pair", pvs=(Pv(), Pv(ignored=True))), tmpdir)[1]
    repository = verbs.inspect(devices[1:])
    assert repository.kind == ORPHAN_PV
    assert codes(repository.findings) == ["mda-ignored", "sr-none"]


def test_leftover_precommitted_text_of_an_empty_area(tmpdir: Any) -> None:
    (device,) = made(Sr(ONE, "pre"), tmpdir)[1]
    where = struct.pack("<QQ", 512, 700)
    rehead(device, lambda raw: raw[:40] + bytes(24) + where + raw[80:])
    repository = verbs.inspect([device])
    assert codes(repository.findings) == ["mda-precommitted", "sr-none"]


def test_damaged_lun(tmpdir: Any) -> None:
    (device,) = made(Sr(ONE, "damaged"), tmpdir)[1]
    device.put(MDA + 200, b"\1")
    assert verbs.inspect([device]).kind == DAMAGED


def test_damaged_lun_beside_a_good_one(tmpdir: Any) -> None:
    """Its own fault is told, and not that it is foreign as well."""
    devices = made(Sr(TREE, "pair", pvs=(Pv(), Pv())), tmpdir)[1]
    devices[1].put(512 + 200, b"\1")
    assert set(codes(verbs.inspect(devices).findings)) == {"label-checksum", "pv-missing"}


def test_one_good_area_is_enough_to_read_and_too_little_to_write(tmpdir: Any) -> None:
    devices = made(Sr(ONE, "two", pvs=(Pv(mdas=2, mda_size=1 << 20),)), tmpdir)[1]
    devices[0].put(MDA + 600, b"\xff")
    repository = verbs.inspect(devices)
    assert repository.kind == LVM_SR and repository.vg is not None
    assert codes(repository.findings) == ["mda-text-checksum"]


def test_area_without_a_text_stays_without(tmpdir: Any) -> None:
    """The second area of a PV, never written: the label names it, the VG does not use it."""
    devices = made(Sr(ONE, "unused", pvs=(Pv(mdas=2, mda_size=1 << 20),)), tmpdir)[1]
    second = devices[0].size - (1 << 20)
    rehead(devices[0], without_text, second)
    devices[0].put(second + 512, bytes(100 * 1024))
    before, area = states(devices), devices[0].get(second, 1 << 20)
    assert verbs.inspect(devices).findings == ()
    resign(devices)
    assert devices[0].get(second, 1 << 20) == area
    (original,) = [MemoryDevice(devices[0].path)]
    original.sectors = dict(before[0])
    assert verbs.verify(devices, [original]) == ()
    verbs.undo(devices)
    assert states(devices) == before


def test_first_text_that_lvm_reads(tmpdir: Any) -> None:
    devices = made(Sr(ONE, "first", pvs=(Pv(mdas=2, mda_size=1 << 20),)), tmpdir)[1]
    (lun,) = verbs.inspect(devices).luns
    assert lun.text == lun.areas[0].text
    rehead(devices[0], without_text)
    (lun,) = verbs.inspect(devices).luns
    assert lun.text == lun.areas[1].text != b""
    rehead(devices[0], without_text, devices[0].size - (1 << 20))
    (lun,) = verbs.inspect(devices).luns
    assert lun.text == b""


def test_space_behind_the_extents(tmpdir: Any) -> None:
    pvs = (Pv(size=(65 << 20) + 512), Pv(mdas=2, mda_size=1 << 20, size=65 << 20))
    devices = made(Sr(TREE, "behind", pvs=pvs), tmpdir)[1]
    repository = verbs.inspect(devices)
    assert repository.vg is not None
    pv0, pv1 = repository.vg.pvs["pv0"], repository.vg.pvs["pv1"]
    end = pv0.pe_start + pv0.pe_count * (4 << 20)
    assert repository.behind_extents(0) == [(end, devices[0].size)]
    end = pv1.pe_start + pv1.pe_count * (4 << 20)
    assert repository.behind_extents(1) == [(end, devices[1].size - (1 << 20))]


def test_no_space_behind_the_extents(tmpdir: Any) -> None:
    devices = made(Sr(ONE, "exact", pvs=(Pv(size=(11 << 20) + (16 << 20)),)), tmpdir)[1]
    assert verbs.inspect(devices).behind_extents(0) == []


def test_lun_that_is_no_member_has_no_space(tmpdir: Any) -> None:
    some = made(Sr(ONE, "some"), tmpdir, "some")[1]
    other = made(Sr(ONE, "other"), tmpdir, "other")[1]
    assert verbs.inspect(some + other).behind_extents(1) == []


def test_extents_on_the_metadata_area(tmpdir: Any) -> None:
    (device,) = made(Sr(ONE, "lies"), tmpdir)[1]
    retext(device, lambda text: text.replace(b"pe_start = 22528", b"pe_start = 16384"))
    findings = verbs.inspect([device]).findings
    (finding,) = [f for f in findings if f.code == "text-value"]
    assert finding.fields["key"] == "pv0/pe_start"


def test_filesystem_that_cannot_be_read(tmpdir: Any) -> None:
    built, devices = made(filesystem_sr(), tmpdir)
    ((_pv, start, _size),) = built.lvs[built.sr_uuid].runs
    devices[0].size = start
    repository = verbs.inspect(devices)
    assert (repository.kind, repository.filesystem) == (FILE_SR, "")


def test_file_sr_without_its_volume(tmpdir: Any) -> None:
    sr = Sr((), "bare", vg_prefix="XSLocalEXT-", mgt=False)
    repository = verbs.inspect(made(sr, tmpdir)[1])
    assert (repository.kind, repository.filesystem) == (FILE_SR, "")


def test_volumes_sizes_and_marks(tmpdir: Any) -> None:
    volumes = (
        Vhd("vhd", size=6 << 20, hidden=True, in_mgt=False),
        Raw("raw", size=8 << 20, hidden=True, in_mgt=False),
        Qcow2("qcow2", size=12 << 20, hidden=True, in_mgt=False),
        Qcow2("child", parent="qcow2"),
        Cbt("vhd"),
    )
    built, devices = made(Sr(volumes, "sizes"), tmpdir)
    repository = verbs.inspect(devices)
    sizes = {key: volume(repository, built.names[key]).virtual_size for key in built.names}
    assert sizes == {"vhd": 6 << 20, "raw": 8 << 20, "qcow2": 12 << 20, "child": 4 << 20}
    assert volume(repository, "MGT").virtual_size == 0
    hidden = {key for key in built.names if volume(repository, built.names[key]).hidden}
    assert hidden == {"vhd", "raw", "qcow2"}
    child = volume(repository, built.names["child"])
    assert (child.parent.lv_name, child.parent.sr_uuid) == (built.names["qcow2"], built.sr_uuid)
    assert volume(repository, built.names["raw"]).parent is None
    assert repository.devices == tuple(devices)


FAULTS: List[Tuple[str, str, Tuple[Any, ...]]] = [
    ("vhd-primary-dead", NOTE, (Vhd("a", footers="dead-primary"),)),
    ("vhd-copy-dead", WARN, (Vhd("a", footers="dead-copy"),)),
    ("vhd-footers-differ", WARN, (Vhd("a", footers="differ"),)),
    (
        "vhd-uuid-twice",
        WARN,
        tuple(Vhd(key, footer_uuid=make_uuid("f", "same")) for key in ("a", "b")),
    ),
    ("parent-missing", WARN, (Vhd("a", parent="gone"),)),
    ("parent-missing", NOTE, (Vhd("a", parent="gone", prefix="VHD-OLD_", in_mgt=False),)),
    ("parent-missing", WARN, (Qcow2("a", parent="gone"),)),
    (
        "parent-uuid",
        WARN,
        (Vhd("a"), Vhd("b", parent="a", parent_identifier=make_uuid("f", "other"))),
    ),
    (
        "parent-uuid",
        WARN,
        (Raw("a"), Vhd("b", parent="a", parent_identifier=make_uuid("f", "other"))),
    ),
    ("parent-cycle", WARN, (Vhd("a", parent="b"), Vhd("b", parent="a"))),
    ("parent-cycle", WARN, (Vhd("a", parent="a"),)),
    ("lv-unknown", NOTE, (*ONE, Plain("somebodys"))),
    ("journal-pending", NOTE, (*ONE, Journal("inflate", "disk", value="4096"))),
    ("journal-pending", NOTE, (*ONE, Journal("zero", "disk", value="4096"))),
    ("journal-pending", NOTE, (*ONE, Journal("jvhd", "disk", state="committed"))),
    ("journal-pending", NOTE, (*ONE, Journal("jvhd", "disk", state="empty"))),
    ("mgt-no-record", WARN, (Vhd("a", in_mgt=False),)),
    ("mgt-vdi-type", NOTE, (Vhd("a", record=Record("a", vdi_type="aio")),)),
    ("mgt-vdi-type", NOTE, (Raw("a", record=Record("a", vdi_type="raw")),)),
    ("mgt-snapshot-of", NOTE, (Vhd("a", record=Record("a", snapshot_of="gone")),)),
    ("mgt-snapshot-of", NOTE, (Vhd("a", record=Record("a", snapshot_of="OpaqueRef:NULL")),)),
    ("mgt-record", WARN, (Vhd("a", record=Record("a", first=b"<vdi><name_label>&am")),)),
    ("vdi-special", NOTE, (special("redo_log"),)),
    ("vdi-special", NOTE, (special("ha_statefile"),)),
]


@pytest.mark.parametrize(
    "code, severity, volumes", FAULTS, ids=["{}-{}".format(c, s) for c, s, _v in FAULTS]
)
def test_fault_of_the_srs_own_is_told_and_kept(
    code: str, severity: str, volumes: Tuple[Any, ...], tmpdir: Any
) -> None:
    """It does not forbid a resign, which makes no new one; and it comes back byte for byte."""
    built, devices = made(Sr(volumes, "fault"), tmpdir)
    before = verbs.inspect(devices).findings
    assert {(f.code, f.severity) for f in before} == {(code, severity)}
    resign(devices)
    repaired = ("vhd-primary-dead", "vhd-copy-dead", "vhd-footers-differ")
    after = [] if code in repaired else [f.code for f in before]
    assert codes(verbs.inspect(devices).findings) == after
    assert verbs.verify(devices, clones(built)) == ()
    verbs.undo(devices)
    assert states(devices) == [{}]


def forged(change: Callable[[Any, Devices], None], *volumes: Any) -> Callable[[Any], Repository]:
    def case(folder: Any) -> Repository:
        built, devices = made(Sr(volumes, "forged"), folder)
        change(built, devices)
        return verbs.inspect(devices)

    return case


def other_locator(built: Any, devices: Devices) -> None:
    """Let one locator of a VHD name another parent than the header does."""
    name = built.names["left"]
    entry = get_lv(built, devices, name, 512 + 576, 24)
    where = int.from_bytes(entry[16:], "big")
    old = built.uuids["base"].replace("-", "--").encode("ascii")
    path = get_lv(built, devices, name, where, 512)
    assert old in path
    new = built.uuids["right"].replace("-", "--").encode("ascii")
    put_lv(built, devices, name, where, path.replace(old, new))


def no_reference(built: Any, devices: Devices) -> None:
    name = built.names["left"]
    where = int.from_bytes(get_lv(built, devices, name, 512 + 576 + 16, 8), "big")
    put_lv(built, devices, name, where, b"file://./elsewhere")


def header_on_the_footer(built: Any, devices: Devices) -> None:
    """The header of a good checksum lies at the volume's end, in the primary footer."""
    name = built.names["left"]
    header = get_lv(built, devices, name, 512, 1024)
    size = built.lvs[name].size
    revhd(built, devices, name, 16, struct.pack(">Q", size - 1024), both=False)
    put_lv(built, devices, name, -1024, header)


def qcow2_path(built: Any, devices: Devices) -> None:
    name = built.names["q"]
    where = int.from_bytes(get_lv(built, devices, name, 8, 8), "big")
    put_lv(built, devices, name, where, b"/dev/sdx".ljust(98, b"/"))


def mgt_of_another_sr(built: Any, devices: Devices) -> None:
    sector = get_lv(built, devices, "MGT", 512, 512)
    old = built.sr_uuid.encode("ascii")
    assert old in sector
    new = make_uuid("another", "sr").encode("ascii")
    put_lv(built, devices, "MGT", 512, sector.replace(old, new))


@pytest.mark.parametrize(
    "code, severity, case",
    [
        ("parent-disagree", WARN, forged(other_locator, *TREE)),
        ("parent-name", REFUSE, forged(no_reference, *TREE)),
        ("vhd-header", REFUSE, forged(header_on_the_footer, *TREE)),
        ("parent-name", REFUSE, forged(qcow2_path, Qcow2("base"), Qcow2("q", parent="base"))),
        ("mgt-sr-uuid", WARN, forged(mgt_of_another_sr, *TREE)),
    ],
)
def test_forged(code: str, severity: str, case: Any, tmpdir: Any) -> None:
    assert {(f.code, f.severity) for f in case(tmpdir).findings} == {(code, severity)}


def test_two_records_of_one_disk(tmpdir: Any) -> None:
    repository = found(tmpdir, *ONE, records=(Record("disk", name="again", vdi_type="vhd"),))
    assert codes(repository.findings) == ["mgt-twice"]


def test_record_of_a_disk_that_a_journal_will_bring_back(tmpdir: Any) -> None:
    """clone_ and leaf_ put volumes aside: their records are not dead."""
    volumes = (*TREE, Journal("clone", "away", payload=("base", "aside")))
    records = (Record("away", vdi_type="vhd"), Record("aside", vdi_type="vhd"))
    repository = found(tmpdir, *volumes, records=records)
    assert set(codes(repository.findings)) == {"journal-undo"}


def test_record_of_a_disk_that_is_a_log_only(tmpdir: Any) -> None:
    records = (Record("ghost", vdi_type="vhd"),)
    assert found(tmpdir, *ONE, Cbt("ghost"), records=records).findings == ()


def test_displaced_leaf_beside_the_one_that_took_its_place(tmpdir: Any) -> None:
    """Both have the VDI's uuid; the record is the new one's."""
    same = make_uuid("d", "vdi")
    volumes = (
        Raw("new", uuid=same),
        Vhd("old", uuid=same, prefix="VHD-OLD_", in_mgt=False),
    )
    for ordered in (volumes, volumes[::-1]):
        assert found(tmpdir, *ordered).findings == ()


def test_ring_with_a_leftover_second_slot(tmpdir: Any) -> None:
    ring = Ring(history=2, precommitted=True, offset=20480)
    assert codes(found(tmpdir, *ONE, ring=ring).findings) == ["mda-precommitted"]


def test_label_names_the_bootloader_area_too(tmpdir: Any) -> None:
    """One that lies in the gap bars the journal's way."""
    (device,) = made(Sr(ONE, "boot"), tmpdir)[1]
    boot = struct.pack("<QQ", 2048, 1024)
    relabel(device, lambda raw: raw[:144] + boot + raw[160:])
    assert verbs.inspect([device]).findings == ()
    with pytest.raises(Exception) as caught:
        resign([device])
    assert getattr(caught.value, "code", "") == "journal-gap"
    assert device.state().keys() == {1}


def test_states_have_names_of_their_own() -> None:
    names = ("ORIGINAL", "IN_PROGRESS", "DONE")
    assert len({getattr(repository_module, name) for name in names}) == 3
