"""Hypothesis strategies for SRs: what SM, LVM2 and their accidents can leave on LUNs."""

from typing import Any

from hypothesis import strategies as st

from support.builder import MIB, Cbt, Journal, Pv, Qcow2, Raw, Record, Ring, Sr, Vhd

_FOOTERS = ("both", "both", "both", "dead-primary", "dead-copy", "differ")
_NAMES = st.sampled_from(
    ["", "disk", "a & b <c>", "&" * 300, "<" * 120, "ünï¢ode ☃", "\u00e9" * 250, " x ", "]]>"]
)
_REFERENCES = ("", "OpaqueRef:NULL", "OpaqueRef:0d2b0e3a", "gone", "k0", "k1")
_SMALL_MDA = 64 * 1024 - 4096
NEW_SRS = st.uuids(version=4).map(str)


@st.composite
def records(draw: Any, key: str) -> Record:
    """Return a record of a volume that is there."""
    pool = draw(st.sampled_from(["", "", "", "OpaqueRef:8a2f", "OpaqueRef:NULL"]))
    return Record(
        key,
        draw(_NAMES),
        draw(_NAMES),
        type="metadata" if pool else draw(st.sampled_from(["user", "system", "ha_statefile"])),
        snapshot_of=draw(st.sampled_from(_REFERENCES)),
        snapshot_time=draw(st.sampled_from(["", "20240101T00:00:00Z"])),
        is_a_snapshot=draw(st.integers(0, 1)),
        managed=draw(st.integers(0, 1)),
        metadata_of_pool=pool,
        updated=draw(st.booleans()),
        python2=draw(st.booleans()),
    )


@st.composite
def images(draw: Any) -> tuple[Any, ...]:
    """Return a forest of images; parents stand before their children."""
    found: list[Any] = []
    for number in range(draw(st.integers(0, 5))):
        key = "k{}".format(number)
        kind = draw(st.sampled_from((Vhd, Vhd, Vhd, Raw, Qcow2)))
        fitting = [v.key for v in found if isinstance(v, Raw) or (type(v) is kind)]
        parent = ""
        if kind is not Raw:
            parent = draw(st.sampled_from(["", *fitting, *fitting, *(["gone"] if number else [])]))
        fields = {
            "hidden": draw(st.booleans()),
            "read_only": draw(st.booleans()),
            "segments": draw(st.sampled_from((1, 1, 2, 3))),
            "pv": draw(st.integers(0, 2)),
            "record": draw(st.none() | records(key)),
            "in_mgt": draw(st.sampled_from((True, True, True, False))),
            "data": draw(st.sampled_from((((0, 4096),), (), ((512, 512), (1 << 20, 1024))))),
        }
        if kind is Vhd:
            fields.update(
                parent=parent,
                footers=draw(st.sampled_from(_FOOTERS)),
                locators=draw(st.sampled_from((("MacX", "W2ku", "W2ru"), ("MacX",), ("W2ku",)))),
                size=draw(st.sampled_from((2 * MIB, 8 * MIB))),
                bat_entries=draw(st.sampled_from((0, 0, 4096))),
                prefix=draw(st.sampled_from(("VHD-", "VHD-", "VHD-OLD_"))),
            )
            if fields["prefix"] == "VHD-OLD_":  # a leaf that waits for its end: no disk any more
                fields["in_mgt"] = False
        elif kind is Qcow2:
            fields.update(
                parent=parent,
                mapper_path=draw(st.booleans()),
                name_first=draw(st.booleans()),
                hidden=draw(st.sampled_from((None, True, False))),
            )
        found.append(kind(key, **fields))
    return tuple(found)


@st.composite
def others(draw: Any, keys: list[str], forced: bool) -> tuple[Any, ...]:
    """Return CBT logs and journals of the images ``keys``; undo journals only where forced."""
    found: list[Any] = []
    some = st.sampled_from([*keys, "gone", "gone-too"])
    for key in draw(st.lists(some, unique=True, max_size=2)):
        found.append(Cbt(key, draw(st.just("") | some), draw(st.just("") | some)))
    for key in draw(st.lists(st.sampled_from(keys), unique=True, max_size=2)) if keys else ():
        kind = draw(st.sampled_from(("inflate", "zero", "relink", "coalesce", "jvhd")))
        found.append(Journal(kind, key, state=draw(st.sampled_from(("committed", "empty")))))
    if forced and keys:
        payload = (draw(some), draw(some))
        kind = draw(st.sampled_from(("clone", "leaf")))
        in_name = kind == "leaf" and draw(st.booleans())
        found.append(
            Journal(kind, keys[0], payload=payload[: 1 if kind == "leaf" else 2], in_name=in_name)
        )
    return tuple(found)


@st.composite
def pvs(draw: Any) -> tuple[Pv, ...]:
    """Return one to three PVs, of which the first has a metadata area in use."""
    small = draw(st.booleans())
    found = []
    for number in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        found.append(
            Pv(
                label_sector=draw(st.sampled_from((1, 1, 0, 2, 3))),
                extension=draw(st.sampled_from((2, 1, 0))),
                mdas=draw(st.sampled_from((1, 1, 2) if not number else (1, 2, 0))),
                mda_size=_SMALL_MDA if small else Pv().mda_size,
                ignored=bool(number) and draw(st.booleans()),
                device_id=draw(st.sampled_from(("", "naa.60000000000000001"))),
                spare=draw(st.integers(0, 3)),
            )
        )
    return tuple(found)


@st.composite
def srs(draw: Any, forced: bool = False) -> Sr:
    """Return an SR. ``forced``: with pending clone_ or leaf_ journals too."""
    disks = draw(images())
    luns = draw(pvs())
    small = luns[0].mda_size == _SMALL_MDA
    offsets = (512, 4096, -700, -512, -4096, 20480)
    ring = Ring(
        offset=draw(st.sampled_from(offsets)),
        history=draw(st.integers(0, 2)),
        filled=small and draw(st.booleans()),
        precommitted=draw(st.booleans()),
    )
    if len(luns) == 1 and luns[0].mdas == 1 and draw(st.sampled_from((False, False, True))):
        luns = (luns[0]._replace(mda_size=0),)
        spare = draw(st.sampled_from((1024, 8192, 12288, 24576)))
        ring = Ring(spare=spare, filled=draw(st.booleans()))
    keys = [disk.key for disk in disks]
    slots = tuple(
        Record("slot-{}".format(n), deleted=1, snapshot_of=draw(st.sampled_from(_REFERENCES)))
        for n in range(draw(st.integers(0, 2)))
    )
    stale = tuple(Record("stale-{}".format(n)) for n in range(draw(st.integers(0, 1))))
    mgt = draw(st.sampled_from((True, True, True, False)))
    return Sr(
        (*disks, *draw(others(keys, forced))),
        seed=draw(st.sampled_from(("s", "t"))),
        name=draw(_NAMES),
        description=draw(_NAMES),
        pvs=luns,
        ring=ring,
        mgt=mgt,
        records=slots if mgt else (),
        stale_records=stale if mgt else (),
        command=draw(st.sampled_from(("", 'lvcreate "x" VG_XenStorage \\ y'))),
        extent_size=draw(st.sampled_from((4 * MIB, 4 * MIB, 1 * MIB))),
    )
