# The way the driver of 2015 gave a LUN new identities, as the commands that it ran: the metadata
# text is saved, edited and restored, then every volume is activated and edited by processes of its
# own. Arguments: the device; the new SR uuid. Prints "commands N", the number of LVM commands.
# What that driver kept is kept (the VG's own uuid, the VHDs' uuids). Its scans of all volumes by SM
# in between are left out, so its time here is a lower bound.
set -e -o pipefail
device=$1 sr=$2
work=$(mktemp -d)
here=${BASH_SOURCE%/*}
commands=0
lvm_run() {
  commands=$((commands + 1))
  "$@" >>"$work/said" 2>&1 || { cat "$work/said" >&2; return 1; }
}
new_lvm_uuid() {
  local hex
  read -r hex </proc/sys/kernel/random/uuid
  hex=${hex//-/}
  lvm_uuid=${hex:0:6}-${hex:6:4}-${hex:10:4}-${hex:14:4}-${hex:18:4}-${hex:22:4}-${hex:26:6}
}

# 1. Which VG the device holds, and its text.
lvm_run pvdisplay "$device"
vg=$(sed -n 's/^ *VG Name  *//p' "$work/said")
lvm_run vgcfgbackup -f "$work/old" "$vg"
new_vg=VG_XenStorage-$sr

# 2. New names, and new uuids for the PV and every LV.
depth=0 pv='' volumes=() readonly_volumes=' ' section=''
printf 's/%s/%s/g\n' "$vg" "$new_vg" "${vg#VG_XenStorage-}" "$sr" >"$work/names"
declare -A seen=()
while IFS= read -r line; do
  if [[ $line =~ ^[[:space:]]*([A-Za-z0-9+_.-]+)[[:space:]]\{$ ]]; then
    depth=$((depth + 1))
    path[depth]=${BASH_REMATCH[1]}
    if ((depth == 3)) && [[ ${path[2]} = logical_volumes && ${path[3]} != MGT ]]; then
      old=${path[3]:0:40}
      [[ $old =~ [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} ]] && old=${BASH_REMATCH[0]}
      if [[ -z ${seen[$old]} ]]; then
        read -r seen[$old] </proc/sys/kernel/random/uuid
        printf 's/%s/%s/g\n' "$old" "${seen[$old]}" >>"$work/names"
      fi
      volumes+=("${path[3]//$old/${seen[$old]}}")
    fi
  elif [[ $line =~ ^[[:space:]]*\}$ ]]; then
    depth=$((depth - 1))
  elif ((depth == 3)) && [[ $line = *'id = "'* && $line != *_id* ]]; then
    new_lvm_uuid
    line="id = \"$lvm_uuid\""
    [[ ${path[2]} = physical_volumes ]] && pv=$lvm_uuid
  elif ((depth == 3)) && [[ ${path[2]} = logical_volumes && $line = *'status = ['* ]]; then
    [[ $line = *WRITE* ]] || readonly_volumes+="${volumes[-1]} "
  fi
  printf '%s\n' "$line"
done <"$work/old" >"$work/edited"
sed -f "$work/names" "$work/edited" >"$work/new"

# 3. Back onto the device: first the label, then the text.
lvm_run pvcreate -u "$pv" -ff -y --restorefile "$work/new" "$device"
lvm_run vgcfgrestore -f "$work/new" "$new_vg"

# 4. The SR's metadata volume.
if grep -q '^[[:space:]]*MGT {' "$work/new"; then
  lvm_run lvchange -ay "$new_vg/MGT"
  dd if="/dev/$new_vg/MGT" bs=1M status=none | LC_ALL=C sed -f "$work/names" |
    dd of="/dev/$new_vg/MGT" bs=1M iflag=fullblock conv=fsync status=none
fi

# 5. Every VHD: active, writable, its parent found, active too, and entered anew.
declare -A active=()
activate() {
  [[ ${active[$1]} ]] || lvm_run lvchange -ay "$new_vg/$1"
  active[$1]=1
}
for volume in "${volumes[@]}"; do
  [[ $volume = VHD-* ]] || continue
  activate "$volume"
  [[ $readonly_volumes = *" $volume "* ]] && lvm_run lvchange -prw "$new_vg/$volume"
  old_parent=$(perl "$here/vhd_parent.pl" read "/dev/$new_vg/$volume")
  [[ $old_parent ]] || continue
  parent=${old_parent:0:-36}${seen[${old_parent: -36}]}
  activate "$parent"
  perl "$here/vhd_parent.pl" set "/dev/$new_vg/$volume" "/dev/$new_vg/$parent"
done

# 6. The snapshots go, one by one; base copies stay.
if [[ -e /dev/$new_vg/MGT ]]; then
  for snapshot in $(perl "$here/mgt_snapshots.pl" "/dev/$new_vg/MGT"); do
    lvm_run lvremove -f "$new_vg/VHD-$snapshot"
  done
fi
lvm_run vgchange -an "$new_vg"
rm -rf "$work"
echo "commands $commands"
