"""What every code about a pool says, means, and asks for; added to those of ``core.catalogue``."""

from relun.core.catalogue import Entry
from relun.pool.catalogue_vms import ENTRIES as OF_VMS

ENTRIES: "dict[str, Entry]" = {
    "pool-package": Entry(
        "the XenAPI package for Python is not installed",
        "The pool's commands speak to xapi through its own client.",
        "pip install 'relun[pool]' (or pip install XenAPI).",
    ),
    "pool-unreachable": Entry(
        "{url} cannot be reached: {reason}",
        "No host of a pool answered at this address.",
        "Check the address, the network and that the toolstack of this host runs.",
    ),
    "pool-certificate": Entry(
        "the certificate of {url} is not to be trusted: {reason}",
        "relun checks who it speaks to before it tells a password. Hosts that were installed "
        "without a certificate of their own show one that nobody has signed.",
        "Give the certificate (or the authority's) with --ca FILE; --insecure does without.",
    ),
    "pool-login": Entry(
        "{url} does not let {user} in: {reason}",
        "xapi refused the name or the password.",
        "Check both; see docs/pool.md for where relun takes the password from.",
    ),
    "pool-stopped": Entry(
        "stopped by a signal before {step}",
        "The step that ran was ended first; then what had been done was taken back.",
        "",
    ),
    "pool-call": Entry(
        "{call} failed: {reason}",
        "xapi answered a call with an error.",
        "See the words of xapi, and /var/log/xensource.log and SMlog on the pool's master.",
    ),
    "pool-bug": Entry(
        "an error of relun itself: {reason}",
        "This must never happen.",
        "Please report it with the output of the same command and -v.",
    ),
    "pool-busy": Entry(
        "{what}: somebody is at work on it since {since}",
        "A key in other_config (of the pool: relun-lun-…) says so. It is gone when its holder "
        "ends; one that was killed is recognised by its session, on the same machine by its "
        "process.",
        "Wait for it. If it is known to be dead: --take-over.",
    ),
    # --- attach
    "pool-target": Entry(
        "{target} is nothing that a pool can attach",
        "A pool reaches a LUN over iSCSI, or by its SCSI id where its hosts see it already.",
        "Give iscsi://portal/iqn/lun, or the LUN's SCSI id with --via-plugin.",
    ),
    "pool-scsi-id": Entry(
        "{lun} does not tell its SCSI id",
        "A pool knows LUNs by the id on page 83h of their vital product data.",
        "Let the array or target present an NAA, EUI-64 or T10 designator.",
    ),
    "pool-lun-used": Entry(
        "{lun} ({scsi_id}) is the LUN of another SR of this pool: {srs}",
        "A PBD or the sm_config of that SR names it, plugged or not.",
        "Is it the right LUN? An SR left over from an earlier one is to be forgotten first.",
    ),
    "pool-original": Entry(
        "{lun} ({scsi_id}) is the original: the pool has its SR {sr} on this very LUN",
        "Resigning it would take the SR away from the pool that uses it.",
        "Give the address of the clone.",
    ),
    "pool-original-hint": Entry(
        "{lun} is an original: its LVM metadata speaks of this very LUN ({scsi_id})",
        "LVM notes the device that it wrote the metadata through. On a clone that is another LUN. "
        "So the SR on it was used on this LUN, perhaps by another pool.",
        "Give the address of the clone. A clone that was resigned and used before is attached "
        "again by sr-introduce, as its SR is.",
    ),
    "pool-origin": Entry(
        "nothing proves that {lun} is a copy: the pool has no SR {sr_uuid} on another LUN",
        "It may be the clone of an SR of another pool, or that SR itself.",
        "Make sure that nobody uses this LUN, then say --yes.",
    ),
    "pool-sr-known": Entry(
        "the pool has an SR {sr_uuid} already (LUN {luns})",
        "An SR uuid stands for one SR in a pool.",
        "Detach that SR first, or choose another --sr-uuid.",
    ),
    "pool-sr-other": Entry(
        "{lun} was resigned already, its SR is {sr_uuid} and not {wanted}",
        "An earlier run gave it that SR uuid.",
        "Leave out --sr-uuid to attach it as it is. For another SR uuid: relun pool detach if the "
        "pool has it, then relun undo, then attach.",
    ),
    "pool-resign": Entry(
        "{lun}: the resign broke off, and was taken back",
        "Something failed while the LUN was hidden.",
        "Look at the cause; then run the command again.",
    ),
    "pool-sr-there": Entry(
        "the pool still has the SR on {lun}",
        "A LUN is not given its old ids back while hosts may use it.",
        "",
    ),
    "pool-probe": Entry(
        "SM on {host} finds SR {found} on {lun} and not {sr_uuid}",
        "The host may see another LUN under this SCSI id, or hold an old state of this one in its "
        "cache.",
        "Check that the host reaches the same LUN; let it rescan (iscsiadm -R, echo 1 > "
        "/sys/block/…/device/delete), then run the command again.",
    ),
    "pool-host-missing": Entry(
        "the pool has not exactly one host {host}; its hosts: {hosts}",
        "A host is named by its name or its uuid.",
        "Correct --host.",
    ),
    "pool-host-master": Entry(
        "several hosts without the master ({host}) cannot share an SR",
        "On a shared SR the pool's master alone changes LVM's metadata.",
        "Add --host for the master, or attach to one host alone.",
    ),
    "pool-sr-unshared": Entry(
        "SR {sr_uuid} is not shared: it belongs to {hosts} alone",
        "It was attached to one host without the master; xapi lets no other host have it.",
        "Name that host with --host; or detach the SR, and attach it to all hosts.",
    ),
    "pool-host-lun": Entry(
        "{host} could not use {lun}: {reason}",
        "The host does not see the LUN, or its SM refused it.",
        "Map the LUN to this host and check its SMlog; or leave the host out: --host NAME for each "
        "of the others.",
    ),
    "pool-pbd-other": Entry(
        "{host} has a PBD of SR {sr_uuid} that names another LUN",
        "Somebody made it by hand, or for an earlier copy.",
        "Unplug and destroy that PBD, then run the command again.",
    ),
    "pool-vdis": Entry(
        "{lun}: not all disks came up as expected: {problems}",
        "What stands on the LUN was held against what the pool has after the scan.",
        "See SMlog on the pool's master.",
    ),
    # --- by the plugin
    "pool-plugin-missing": Entry(
        "{host} does not have relun's plugin",
        "--via-plugin lets the pool's master resign the LUN.",
        "Install relun on the hosts (packaging/README.md), or give the LUN's iscsi:// address.",
    ),
    "pool-plugin": Entry(
        "relun on {host} would not {function}: {said}",
        "The plugin's own words.",
        "Look at its code with relun explain (--json: reason), and at the host's log.",
    ),
    "pool-lun-missing": Entry(
        "{target} has no LUN {lun} for the pool's master",
        "SM on the master logged in and listed the LUNs of this target.",
        "Check the number and what the array maps to the master's initiator.",
    ),
    # --- detach
    "pool-not-ours": Entry(
        "SR {sr} ({uuid}) was not attached by relun",
        "Its other_config lacks relun's mark.",
        "Is it the right SR? --force detaches it all the same.",
    ),
    "pool-vms": Entry(
        "SR {sr} is in use by {vms}",
        "Disks of these VMs are on it.",
        "Those that restore-vm made go with --remove-vms; remove the others, or their disks, "
        "yourself.",
    ),
    "pool-half-detached": Entry(
        "the SR is not yet out of the pool",
        "A step failed, and the ones before it cannot be taken back.",
        "Mend what failed and run the same command again: it goes on.",
    ),
    "pool-host-down": Entry(
        "SR still plugged on {hosts}: down, or not reached by the pool's master",
        "xapi sends a host that is down nothing, and forgets no SR that it has plugged somewhere. "
        "The hosts that answer were taken care of.",
        "Start the host, or let it be forgotten if it never comes back (xe host-forget); then run "
        "the same command again.",
    ),
    "pool-gone": Entry(
        "SR {sr} has just gone from the pool",
        "Somebody else forgot it at this moment.",
        "",
    ),
    # --- what the caller names
    "pool-sr-missing": Entry(
        "the pool has no SR {sr}",
        "An SR is named by its uuid or its name.",
        "xe sr-list shows them all.",
    ),
}
ENTRIES.update(OF_VMS)
