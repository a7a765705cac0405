# Configuration of the guest's own daemons. It goes to the overlay, so no host file changes.
ip link set lo up
# Portals are addresses of their own, so that one can be taken away like a cable.
ip address del 127.0.0.1/8 dev lo
ip address add 127.0.0.1/32 dev lo
ip address add 127.0.0.2/32 dev lo
hostname lab
cat >/etc/lvm/lvmlocal.conf <<'CONF'
global { event_activation=0 use_lvmpolld=0 }
activation { monitoring=0 }
backup { backup=0 archive=0 }
CONF
rm -rf /etc/lvm/devices /etc/lvm/backup/* /etc/lvm/archive/*
echo children_max=2 >/etc/udev/udev.conf
echo InitiatorName=iqn.2024-01.lab:initiator >/etc/iscsi/initiatorname.iscsi
rm -rf /etc/iscsi/nodes /etc/iscsi/send_targets /etc/multipath/wwids /etc/multipath/bindings
mkdir -p /etc/multipath /run/lab
