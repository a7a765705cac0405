"""What the pool's database knows of a LUN."""

from relun.core.hints import Any, Dict, List

_DEVSERIAL = "devserial"  # SR.sm_config, set by SM at attach: scsi-<SCSI id>, several with commas


def scsi_ids_of(device_config: Dict[str, str], sm_config: Dict[str, str]) -> List[str]:
    """Return the SCSI ids that a PBD and its SR speak of."""
    found = [config["SCSIid"] for config in (device_config, sm_config) if config.get("SCSIid")]
    for serial in sm_config.get(_DEVSERIAL, "").split(","):
        if serial.startswith("scsi-"):
            found.append(serial[len("scsi-") :])
    found += [key[len("scsi-") :] for key in sm_config if key.startswith("scsi-")]
    return found


def other_users(session: Any, own_sr: str, scsi_id: str) -> List[str]:
    """Return the uuids of all SRs but our own (a reference) that use the LUN, attached or not.

    SM's own check stops at the first PBD of our own SR; this one looks at all.
    """
    pbds = session.xenapi.PBD.get_all_records()
    configs: Dict[str, Dict[str, str]] = {}
    users = []
    for pbd in pbds.values():
        reference = pbd["SR"]
        if reference == own_sr:
            continue
        if reference not in configs:
            configs[reference] = session.xenapi.SR.get_sm_config(reference)
        if scsi_id in scsi_ids_of(pbd["device_config"], configs[reference]):
            users.append(str(session.xenapi.SR.get_uuid(reference)))
    return sorted(set(users))
