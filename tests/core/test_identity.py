"""New ids: derived as the standard library's uuid module does, each kind apart, never twice."""

import uuid

import pytest

from relun.core.errors import Refused
from relun.core.identity import (
    Identity,
    check_overrides,
    pack_uuid,
    random_uuid,
    unpack_uuid,
    uuid5,
)
from support.builder import make_uuid
from support.builder.ids import lvm_id

OLD_SR, NEW_SR = make_uuid("a", "sr"), make_uuid("b", "sr")
VDI, OTHER = make_uuid("a", "vdi"), make_uuid("a", "other")
NONE = bytes(16)


def identity(**overrides: str) -> Identity:
    return Identity(OLD_SR, NEW_SR, {make_uuid("a", old): new for old, new in overrides.items()})


@pytest.mark.parametrize("number", range(50))
def test_uuid5_is_the_standard_librarys(number: int) -> None:
    namespace, name = make_uuid("n", str(number)), make_uuid("m", str(number))
    assert uuid5(namespace, name) == str(uuid.uuid5(uuid.UUID(namespace), name))
    assert uuid5(namespace, "image") == str(uuid.uuid5(uuid.UUID(namespace), "image"))


def test_random_uuid_is_of_version_4_and_new_each_time() -> None:
    made = {random_uuid() for _ in range(50)}
    assert len(made) == 50
    for text in made:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


def test_packed_uuids_are_in_text_order() -> None:
    assert pack_uuid(VDI) == uuid.UUID(VDI).bytes
    assert unpack_uuid(uuid.UUID(VDI).bytes) == VDI


def test_vdi_is_derived_from_the_new_sr() -> None:
    new = str(uuid.uuid5(uuid.UUID(NEW_SR), VDI))
    made = identity()
    assert made.vdi(VDI) == new
    assert made.packed_vdi(uuid.UUID(VDI).bytes) == uuid.UUID(new).bytes
    assert made.packed_vdi(NONE) == NONE
    assert made.given("vdi") == {VDI: new}


def test_sr_and_foreign_srs() -> None:
    made = identity()
    assert made.sr(OLD_SR) == NEW_SR
    assert made.sr(OTHER) == str(uuid.uuid5(uuid.UUID(NEW_SR), OTHER))


def test_images_have_a_namespace_of_their_own() -> None:
    space = uuid.uuid5(uuid.UUID(NEW_SR), "image")
    made = identity()
    assert made.image(uuid.UUID(VDI).bytes) == uuid.uuid5(space, VDI).bytes
    assert made.image(NONE) == NONE
    assert made.given("image") == {VDI: str(uuid.uuid5(space, VDI))}


def test_lvm_ids_are_of_the_alphabet_that_lvm_writes() -> None:
    letters = set("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    made = identity()
    new = [made.lvm(lvm_id("a", str(number))) for number in range(300)]
    assert len(set(new)) == 300
    assert all(len(text) == 32 for text in new)
    assert set("".join(new)) == letters  # all of it is used


def test_repeated_run_gives_the_same_and_another_sr_gives_others() -> None:
    one, same, other = identity(), identity(), Identity(OLD_SR, OTHER)
    for ask in (
        lambda some: some.vdi(VDI),
        lambda some: some.image(pack_uuid(VDI)),
        lambda some: some.lvm("x" * 32),
    ):
        assert ask(one) == ask(one) == ask(same) != ask(other)  # type: ignore[no-untyped-call]


def test_overrides_of_every_kind() -> None:
    old_lvm, new_lvm = lvm_id("a", "1"), lvm_id("a", "2")
    chosen = {VDI: OTHER, make_uuid("a", "image"): make_uuid("b", "image"), old_lvm: new_lvm}
    made = Identity(OLD_SR, NEW_SR, chosen)
    assert made.vdi(VDI) == OTHER
    assert made.image(pack_uuid(make_uuid("a", "image"))) == pack_uuid(make_uuid("b", "image"))
    assert made.lvm(old_lvm) == new_lvm
    made.check()


def test_unused_override() -> None:
    made = identity(vdi=OTHER, lost=NEW_SR)
    made.vdi(VDI)
    with pytest.raises(Refused) as caught:
        made.check()
    assert (caught.value.code, caught.value.fields) == (
        "map-unused",
        {"ids": [make_uuid("a", "lost")]},
    )


def test_new_id_that_is_an_old_one() -> None:
    made = identity(vdi=OTHER)
    made.vdi(VDI)
    made.check()
    made.vdi(OTHER)
    with pytest.raises(Refused) as caught:
        made.check()
    assert caught.value.code == "id-collision"
    assert caught.value.fields == {"kind": "vdi", "old": VDI, "other": OTHER, "new": OTHER}


def test_two_old_ids_that_become_one() -> None:
    made = identity(vdi=NEW_SR, other=NEW_SR)
    made.vdi(VDI)
    made.vdi(OTHER)
    with pytest.raises(Refused) as caught:
        made.check()
    assert caught.value.fields == {"kind": "vdi", "old": OTHER, "other": VDI, "new": NEW_SR}


def test_the_same_id_in_two_kinds_is_no_collision() -> None:
    made = identity()
    made.vdi(VDI)
    made.image(pack_uuid(VDI))
    made.check()


def test_given_ids_cannot_be_changed_from_outside() -> None:
    made = identity()
    made.vdi(VDI)
    made.given("vdi").clear()
    assert VDI in made.given("vdi")


def test_map_with_dashes_or_without() -> None:
    old, new = lvm_id("a", "old"), lvm_id("a", "new")
    shown = "-".join((new[:6], new[6:10], new[10:14], new[14:18], new[18:22], new[22:26], new[26:]))
    assert check_overrides({old: shown, VDI: OTHER}) == {old: new, VDI: OTHER}


@pytest.mark.parametrize(
    "old, new",
    [
        ("", VDI),
        (VDI, ""),
        (VDI, "x"),
        (VDI, OTHER.upper()),
        (VDI, lvm_id("a", "1")),
        (lvm_id("a", "1"), VDI),
        (lvm_id("a", "1"), lvm_id("a", "2")[:-1]),
        (lvm_id("a", "1"), lvm_id("a", "2")[:-1] + "!"),  # read by LVM, never written
        (VDI, VDI),
        (lvm_id("a", "1"), lvm_id("a", "1")[:6] + "-" + lvm_id("a", "1")[6:]),
    ],
)
def test_map_of_what_is_no_id(old: str, new: str) -> None:
    with pytest.raises(Refused) as caught:
        check_overrides({old: new})
    assert (caught.value.code, caught.value.fields) == ("map-invalid", {"old": old, "new": new})
