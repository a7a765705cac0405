"""The PV's device in a resigned VG's text: the original's, or the one that is asked for."""

from typing import Any, List

from relun.core import verbs
from relun.core.device import open_device
from relun.core.options import Options
from support import builder, golden


def hints(paths: Any, options: Options) -> List[str]:
    """Resign and return the devices that the metadata names then."""
    devices = [open_device(path, writable=True) for path in paths]
    try:
        verbs.resign(devices, options)
        group = verbs.inspect(devices).vg
        assert group is not None
        return [pv.device_hint for pv in group.pvs.values()]
    finally:
        for device in devices:
            device.close()


def test_kept_when_nothing_is_asked(tmp_path: Any) -> None:
    with open_device(golden.image("single")) as device:
        original = verbs.inspect([device]).vg
        assert original is not None
        before = [pv.device_hint for pv in original.pvs.values()]
    assert before != [""]
    assert hints([golden.copy("single", tmp_path)], Options()) == before


def test_set(tmp_path: Any) -> None:
    hint = '/dev/disk/by-id/scsi-"36f4"'
    assert hints([golden.copy("single", tmp_path)], Options(device_hint=hint)) == [hint]


def test_kept_of_several_pvs(tmp_path: Any) -> None:
    declared = builder.Sr(builder.fleet(2), pvs=(builder.Pv(), builder.Pv()))
    built = builder.build(declared, tmp_path / "lun")
    found = hints(built.paths, Options(device_hint="/dev/x"))
    assert "/dev/x" not in found
    assert len(found) == 2
