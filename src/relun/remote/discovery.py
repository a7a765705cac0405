"""What a portal offers: its targets, and the LUNs of each."""

from relun.core.hints import List
from relun.remote import scsi
from relun.remote.address import IscsiAddress
from relun.remote.libiscsi import Command, ConnectionLost, Session
from relun.remote.login import Login
from relun.remote.lun import Lun, Patience


def luns_of_portal(
    shown: str,
    login: Login,
    patience: Patience = Patience(),  # noqa: B008
) -> List[str]:
    """Return the addresses of all LUNs of a portal. Raise DeviceError."""
    portal = Lun(shown, login, patience)
    try:
        session = Session(portal.address.portal, "", portal.login, 1, patience.command)
        try:
            found = session.discover()
            session.logout()
        finally:
            session.close()
    except ConnectionLost as error:
        raise portal.login_error(error) from error
    luns = []
    for iqn, portals in sorted(found):
        where = portal.address.portal if portal.address.portal in portals else portals[0]
        address = IscsiAddress(where, iqn, 0, portal.address.user)
        luns += [str(address._replace(lun=number)) for number in _numbers(address, login, patience)]
    return luns


def _numbers(address: IscsiAddress, login: Login, patience: Patience) -> List[int]:
    """Return the numbers of a target's LUNs that are disks."""
    target = Lun(str(address), login, patience)
    target.connect_first()
    try:
        answer = target.ask(scsi.report_luns(), 4096)
        numbers = []
        for number in scsi.parse_luns(answer):
            target.address = target.address._replace(lun=number)
            kind = Command(scsi.inquiry_standard(), length=36)
            target.finish([kind], target.attempt)
            if kind.answer[:1] == scsi.DISK:
                numbers.append(number)
        return numbers
    finally:
        target.logout()
