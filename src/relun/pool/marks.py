"""What relun writes into ``other_config`` of the objects it makes, to know them again."""

from typing import NamedTuple

ATTACHED = "relun-attached"  # of an SR: when, as ISO 8601 in UTC
TESTED = "relun-dr-test"  # of an SR: since when; a DR test attached it, and detaches it
ORIGINAL_SR = "relun-original-sr"  # of an SR: the uuid of the SR that was copied
READ_ONLY = "relun-read-only"  # of an SR: VMs get its disks read-only
RESTORED = "relun-restored"  # of a VM: when
ORIGINAL_VM = "relun-original-vm"  # of a VM: the uuid of the VM it was made like
ON_SR = "relun-sr"  # of a VM: the uuid of the attached SR its disks are on


class Vdi(NamedTuple):
    """A virtual disk of an attached clone. ``size``: bytes, as the guest sees it.

    ``old_uuid`` is empty where nobody knows it any more: the SR was in use since it was resigned.
    """

    reference: str
    uuid: str
    old_uuid: str
    name: str
    size: int


class Attached(NamedTuple):
    """An SR that relun attached. ``hosts``: names of those that have it plugged.

    ``already``: nothing was left to do. ``seconds`` in all, ``pool_seconds`` of them in the pool's
    ``calls``; ``round_trips`` to the LUN.
    """

    reference: str
    sr_uuid: str
    old_sr_uuid: str
    name: str
    scsi_id: str
    vdis: tuple[Vdi, ...]
    hosts: tuple[str, ...]
    target: str = ""
    already: bool = False
    seconds: float = 0.0
    pool_seconds: float = 0.0
    calls: int = 0
    round_trips: int = 0
