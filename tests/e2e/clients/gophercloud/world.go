package main

import (
	"fmt"
	"os"
	"sort"

	"github.com/gophercloud/gophercloud/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/attachinterfaces"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/keypairs"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/servergroups"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/volumeattach"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/openstack/imageservice/v2/images"
	"github.com/gophercloud/gophercloud/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/openstack/networking/v2/subnets"
)

// world: what stands around the server, by id. Everything that is made is called name.
type world struct {
	name                        string
	image, tiny, small          string
	group, port, second, volume string
}

func (c *cloud) prepare() *walk {
	w := &walk{cloud: c, world: world{name: fmt.Sprintf("gophercloud-%d", os.Getpid())}}
	w.findImageAndFlavors()
	w.makeKeyAndGroup()
	w.makePort()
	w.makeNetwork()
	w.makeVolume()
	return w
}

func (w *walk) findImageAndFlavors() {
	pages, err := images.List(w.images, images.ListOpts{Name: "tiny"}).AllPages()
	must("images", err)
	found, err := images.ExtractImages(pages)
	must("images", err)
	expect("images called tiny", len(found), 1)
	w.image = found[0].ID
	pages, err = flavors.ListDetail(w.compute, flavors.ListOpts{MinRAM: 128}).AllPages()
	must("flavors", err)
	sizes, err := flavors.ExtractFlavors(pages)
	must("flavors", err)
	for _, size := range sizes {
		switch size.Name {
		case "m1.tiny":
			w.tiny = size.ID
		case "m1.small":
			w.small = size.ID
		}
	}
}

func (w *walk) makeKeyAndGroup() {
	key, err := keypairs.Create(w.compute, keypairs.CreateOpts{Name: w.name}).Extract()
	must("key pair", err)
	w.later(func() { keypairs.Delete(w.compute, w.name) })
	expect("a private key was made", key.PrivateKey != "", true)
	group, err := servergroups.Create(w.compute, servergroups.CreateOpts{Name: w.name, Policy: "anti-affinity"}).Extract()
	must("server group", err)
	w.group = group.ID
	w.later(func() { servergroups.Delete(w.compute, w.group) })
}

// makePort: a port of the network private, with a security group of its own.
func (w *walk) makePort() {
	pages, err := networks.List(w.network, networks.ListOpts{Name: "private"}).AllPages()
	must("networks", err)
	found, err := networks.ExtractNetworks(pages)
	must("networks", err)
	expect("networks called private", len(found), 1)
	wall, err := groups.Create(w.network, groups.CreateOpts{Name: w.name}).Extract()
	must("security group", err)
	w.later(func() { groups.Delete(w.network, wall.ID) })
	_, err = rules.Create(w.network, rules.CreateOpts{
		SecGroupID: wall.ID, Direction: rules.DirIngress, EtherType: rules.EtherType4, Protocol: rules.ProtocolTCP,
		PortRangeMin: 22, PortRangeMax: 22,
	}).Extract()
	must("rule", err)
	port, err := ports.Create(w.network, ports.CreateOpts{
		NetworkID: found[0].ID, Name: w.name, SecurityGroups: &[]string{wall.ID},
	}).Extract()
	must("port", err)
	w.port = port.ID
	w.later(func() { ports.Delete(w.network, w.port) })
}

// makeNetwork: one more, of the user's own.
func (w *walk) makeNetwork() {
	network, err := networks.Create(w.network, networks.CreateOpts{Name: w.name}).Extract()
	must("network", err)
	w.second = network.ID
	w.later(func() { networks.Delete(w.network, w.second) })
	_, err = subnets.Create(w.network, subnets.CreateOpts{NetworkID: w.second, IPVersion: 4, CIDR: "10.66.0.0/24"}).Extract()
	must("subnet", err)
}

func (w *walk) makeVolume() {
	volume, err := volumes.Create(w.volumes, volumes.CreateOpts{Name: w.name, Size: 1}).Extract()
	must("volume", err)
	w.volume = volume.ID
	w.later(func() { volumes.Delete(w.volumes, w.volume, nil) })
	w.volumeIs("available")
}

func (w *walk) volumeIs(status string) {
	until("the volume is "+status, func() bool {
		volume, err := volumes.Get(w.volumes, w.volume).Extract()
		must("volume", err)
		return volume.Status == status
	})
}

// attached: ids of the server's volumes, the root first.
func (w *walk) attached() []string {
	pages, err := volumeattach.List(w.compute, w.server).AllPages()
	must("attachments", err)
	found, err := volumeattach.ExtractVolumeAttachments(pages)
	must("attachments", err)
	sort.Slice(found, func(i, j int) bool { return found[i].Device < found[j].Device })
	ids := []string{}
	for _, one := range found {
		ids = append(ids, one.VolumeID)
	}
	return ids
}

// interfaces: ids of the server's ports.
func (w *walk) interfaces() []string {
	pages, err := attachinterfaces.List(w.compute, w.server).AllPages()
	must("interfaces", err)
	found, err := attachinterfaces.ExtractInterfaces(pages)
	must("interfaces", err)
	ids := []string{}
	for _, one := range found {
		ids = append(ids, one.PortID)
	}
	return ids
}

func (w *walk) members() []string {
	group, err := servergroups.Get(w.compute, w.group).Extract()
	must("server group", err)
	return group.Members
}
