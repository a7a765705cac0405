"""What the codes about VMs and DR tests say, mean, and ask for; part of ``catalogue``."""

from relun.core.catalogue import Entry

ENTRIES: "dict[str, Entry]" = {
    # --- which VM, SR, network
    "pool-vm-missing": Entry(
        "the pool has no VM {vm}",
        "VMs are found by their uuid, or by a name that no other VM of the pool has. Templates and "
        "snapshots do not count.",
        "Check the name (xe vm-list). When the VM is gone for good, give a file that "
        "xe vm-export metadata=true made of it: --metadata FILE.",
    ),
    "pool-vm-kind": Entry(
        "{vm} is a template, a snapshot or a control domain",
        "Only ordinary VMs are restored.",
        "Give the VM itself.",
    ),
    "pool-vm-running": Entry(
        "the VM {vm} is not halted",
        "A disk is swapped while the VM is shut down: the guest would lose it under its feet.",
        "Shut the VM down, and repeat the command.",
    ),
    "pool-several": Entry(
        "several objects are called {name} ({kind}): {uuids}",
        "A name need not be unique in a pool.",
        "Give the uuid.",
    ),
    "pool-network-missing": Entry(
        "the pool has no network {network}",
        "The NICs of the new VM were to be connected to it.",
        "Check the name (xe network-list), or leave the NICs disconnected.",
    ),
    "pool-sr-unmarked": Entry(
        "{sr} ({uuid}) is not known to be a copy",
        "relun notes on every SR that it attaches which SR it is a copy of; without that it cannot "
        "tell which of its disks belongs to which VM.",
        "Give an SR that relun pool attach attached.",
    ),
    "pool-metadata": Entry(
        "{file}: {reason}",
        "The file is not, or not whole, what xe vm-export metadata=true makes (or the beginning of "
        "an XVA), or the VM is not in it.",
        "Check the file; make another export if the VM still exists.",
    ),
    # --- disks
    "pool-disks-none": Entry(
        "no disk of the VM {vm} is on {sr}",
        "None of the VM's disks stands on the SR that was copied, or none did when it was copied.",
        "Check which SR the VM's disks are on, and which clone this is.",
    ),
    "pool-disks-elsewhere": Entry(
        "disks of the VM {vm} are on other SRs than the one that was copied: {disks}",
        "The clone has no copies of them, and a VM without a part of its disks may do harm.",
        "Leave them out with --partial, or restore from a clone that has all disks.",
    ),
    "pool-disks-missing": Entry(
        "the clone has no copy of disks of the VM {vm}: {disks}",
        "They were made after the LUN was copied. A revert to a snapshot gives all disks of a VM "
        "new ids as well.",
        "Take a newer clone, or the VM's record from the time of the copy (--metadata FILE), or "
        "leave the disks out with --partial.",
    ),
    "pool-disks-read-only": Entry(
        "the copies of disks of the VM {vm} are read-only: {disks}",
        "The clone was attached with --read-only, and a VM writes to its disks.",
        "Detach the clone and attach it without --read-only.",
    ),
    "pool-disks-locked": Entry(
        "disks of the new VM like {vm} are read-only: {disks}",
        "The clone was attached with --read-only: its disks can be read, and few guests boot from "
        "them.",
        "Detach the clone and attach it without --read-only if the VM is to run from it.",
    ),
    "pool-disk-missing": Entry(
        "the VM {vm} has no disk {disk}",
        "A disk is given by uuid or name of the original VDI.",
        "See xe vm-disk-list.",
    ),
    "pool-nic-left-out": Entry(
        "NIC {nic} of the VM {vm} is left out: this pool has no network {network}",
        "A NIC cannot be without a network, so it cannot be made disconnected either.",
        "Add a NIC by hand if the guest needs one (xe vif-create).",
    ),
    "pool-parts-left-out": Entry(
        "the new VM lacks what cannot be copied from {vm}: {parts}",
        "A TPM's content and hardware passed through stay with the original. A guest whose disk "
        "is locked to its TPM asks for the recovery key.",
        "",
    ),
    "pool-standing": Entry(
        "a step failed, and not all of what was done could be taken back",
        "The words after the colon say what failed first. What stands is named one by one.",
        "Mend what failed and run the same command again: it looks at each step and goes on.",
    ),
    # --- DR tests
    "pool-plan": Entry(
        "{file}: {reason}",
        "The plan is not as it has to be; nothing was begun.",
        "docs/recipes.md has an example with all keys.",
    ),
    "pool-dr-there": Entry(
        "the VM {vm} ({uuid}) was restored before this test",
        "A test starts VMs that it made itself, and removes them; this one is somebody's.",
        "Remove it (xe vm-destroy, or relun pool detach --remove-vms), or use another clone.",
    ),
    "pool-not-up": Entry(
        "{vm} did not come up: {reason}",
        "What the plan waits for (the guest's agent, or a TCP port) did not come in time.",
        "See the console of a VM restored by hand (relun pool restore-vm --start), or give it more "
        "time in the plan.",
    ),
}
