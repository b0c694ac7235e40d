package main

import (
	"fmt"
	"strings"

	"github.com/gophercloud/gophercloud/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/attachinterfaces"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/bootfromvolume"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/extendedstatus"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/instanceactions"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/keypairs"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/lockunlock"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/pauseunpause"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/remoteconsoles"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/schedulerhints"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/shelveunshelve"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/startstop"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/suspendresume"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/tags"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/volumeattach"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/openstack/networking/v2/ports"
)

// walk: one server and what it needs.
type walk struct {
	*cloud
	world
	server     string
	rootVolume string
}

type shown struct {
	servers.Server
	extendedstatus.ServerExtendedStatusExt
}

func (w *walk) show() shown {
	var answer shown
	must("show", servers.Get(w.compute, w.server).ExtractInto(&answer))
	return answer
}

// rests: the server becomes that, and nothing is under way any more.
func (w *walk) rests(status string) {
	until("the server is "+status, func() bool {
		now := w.show()
		if now.Status == "ERROR" {
			panic(fmt.Sprintf("the server has failed: %v", now.Fault))
		}
		return now.Status == status && now.TaskState == ""
	})
}

func (w *walk) create() {
	root := bootfromvolume.BlockDevice{
		SourceType: "image", DestinationType: "volume", UUID: w.image, VolumeSize: 1, DeleteOnTermination: true,
	}
	plain := servers.CreateOpts{
		Name: w.name, FlavorRef: w.tiny, Networks: []servers.Network{{Port: w.port}},
		Metadata: map[string]string{"purpose": "walk"}, Tags: []string{"made"},
		UserData: []byte("#!/bin/sh\necho walked by gophercloud\n"),
	}
	options := schedulerhints.CreateOptsExt{
		CreateOptsBuilder: keypairs.CreateOptsExt{
			CreateOptsBuilder: bootfromvolume.CreateOptsExt{
				CreateOptsBuilder: plain, BlockDevice: []bootfromvolume.BlockDevice{root},
			},
			KeyName: w.name,
		},
		SchedulerHints: schedulerhints.SchedulerHints{Group: w.group},
	}
	made, err := bootfromvolume.Create(w.compute, options).Extract()
	must("create", err)
	w.server = made.ID
	w.later(func() { servers.Delete(w.compute, w.server) })
	w.rests("ACTIVE")
}

func (w *walk) describe() {
	now := w.show()
	expect("key and metadata", []interface{}{now.KeyName, now.Metadata}, "["+w.name+" map[purpose:walk]]")
	expect("members of the group", w.members(), []string{w.server})
	w.rootVolume = w.attached()[0]
	root, err := volumes.Get(w.volumes, w.rootVolume).Extract()
	must("root volume", err)
	expect("root volume", []string{root.Status, root.Bootable}, []string{"in-use", "true"})

	must("metadata", servers.UpdateMetadata(w.compute, w.server, servers.MetadataOpts{"size": "m"}).Err)
	must("metadatum", servers.DeleteMetadatum(w.compute, w.server, "purpose").ExtractErr())
	must("tag", tags.Add(w.compute, w.server, "kept").ExtractErr())
	must("tag", tags.Delete(w.compute, w.server, "made").ExtractErr())
	must("rename", servers.Update(w.compute, w.server, servers.UpdateOpts{Name: w.name + "-renamed"}).Err)

	now = w.show()
	expect("name", now.Name, w.name+"-renamed")
	expect("metadata", now.Metadata, map[string]string{"size": "m"})
	expect("tags", *now.Tags, []string{"kept"})
	_, err = servers.Metadatum(w.compute, w.server, "purpose").Extract()
	refused("a metadatum that is gone", err, 404)
}

func (w *walk) readConsoles() {
	w.guestSays("walked by gophercloud", " login:")
	console, err := remoteconsoles.Create(w.compute, w.server, remoteconsoles.CreateOpts{
		Protocol: remoteconsoles.ConsoleProtocolVNC, Type: remoteconsoles.ConsoleTypeNoVNC,
	}).Extract()
	must("console", err)
	expect("console has a token", strings.Contains(console.URL, "token"), true)
}

// guestSays: all of that is on the guest's console.
func (w *walk) guestSays(texts ...string) {
	until(fmt.Sprintf("the guest says %q", texts), func() bool {
		log, err := servers.ShowConsoleOutput(w.compute, w.server, servers.ShowConsoleOutputOpts{}).Extract()
		must("console output", err)
		for _, text := range texts {
			if !strings.Contains(log, text) {
				return false
			}
		}
		return true
	})
}

// attach: a volume and a port come, are seen, and go.
func (w *walk) attach() {
	_, err := volumeattach.Create(w.compute, w.server, volumeattach.CreateOpts{VolumeID: w.volume}).Extract()
	must("attach volume", err)
	w.volumeIs("in-use")
	expect("volumes", w.attached(), []string{w.rootVolume, w.volume})
	port, err := attachinterfaces.Create(w.compute, w.server, attachinterfaces.CreateOpts{NetworkID: w.second}).Extract()
	must("attach interface", err)
	expect("interfaces", len(w.interfaces()), 2)

	must("detach volume", volumeattach.Delete(w.compute, w.server, w.volume).ExtractErr())
	w.volumeIs("available")
	must("detach interface", attachinterfaces.Delete(w.compute, w.server, port.PortID).ExtractErr())
	until("the interface is gone", func() bool { return len(w.interfaces()) == 1 })
	expect("port", w.interfaces(), []string{w.port})
}

func (w *walk) comeAndGo() {
	id, c := w.server, w.compute
	w.turns("pause", pauseunpause.Pause(c, id).ExtractErr(), "PAUSED")
	w.turns("unpause", pauseunpause.Unpause(c, id).ExtractErr(), "ACTIVE")
	w.turns("suspend", suspendresume.Suspend(c, id).ExtractErr(), "SUSPENDED")
	w.turns("resume", suspendresume.Resume(c, id).ExtractErr(), "ACTIVE")
	w.turns("lock", lockunlock.Lock(c, id).ExtractErr(), "ACTIVE")
	refused("stopping a locked server", startstop.Stop(c, id).ExtractErr(), 409)
	w.turns("unlock", lockunlock.Unlock(c, id).ExtractErr(), "ACTIVE")
	w.turns("shelve", shelveunshelve.Shelve(c, id).ExtractErr(), "SHELVED_OFFLOADED")
	w.turns("unshelve", shelveunshelve.Unshelve(c, id, shelveunshelve.UnshelveOpts{}).ExtractErr(), "ACTIVE")
	// A guest that has booted stops at once when it is asked to.
	w.guestSays("tiny: boot 2 of this disk", " login:")
	w.turns("stop", startstop.Stop(c, id).ExtractErr(), "SHUTOFF")
	refused("pausing a stopped server", pauseunpause.Pause(c, id).ExtractErr(), 409)
	w.resize()
	w.turns("start", startstop.Start(c, id).ExtractErr(), "ACTIVE")
	w.turns("reboot", servers.Reboot(c, id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr(), "ACTIVE")
}

// turns: the action was accepted, and the server becomes that.
func (w *walk) turns(action string, err error, status string) {
	must(action, err)
	w.rests(status)
}

func (w *walk) resize() {
	id, c, larger := w.server, w.compute, servers.ResizeOpts{FlavorRef: w.small}
	w.turns("resize", servers.Resize(c, id, larger).ExtractErr(), "VERIFY_RESIZE")
	w.turns("revert", servers.RevertResize(c, id).ExtractErr(), "SHUTOFF")
	expect("flavor", w.show().Flavor["original_name"], "m1.tiny")
	w.turns("resize", servers.Resize(c, id, larger).ExtractErr(), "VERIFY_RESIZE")
	w.turns("confirm", servers.ConfirmResize(c, id).ExtractErr(), "SHUTOFF")
	expect("flavor", w.show().Flavor["original_name"], "m1.small")
}

func (w *walk) readHistory() {
	pages, err := instanceactions.List(w.compute, w.server, nil).AllPages()
	must("actions", err)
	actions, err := instanceactions.ExtractInstanceActions(pages)
	must("actions", err)
	var names []string
	for i := len(actions) - 1; i >= 0; i-- {
		names = append(names, actions[i].Action)
	}
	expect("actions", strings.Join(names, " "), "create attach_volume attach_interface detach_volume detach_interface"+
		" pause unpause suspend resume lock unlock shelve unshelve stop resize revertResize resize confirmResize start reboot")
}

func (w *walk) delete() {
	must("delete", servers.Delete(w.compute, w.server).ExtractErr())
	until("the server is gone", func() bool { return servers.Get(w.compute, w.server).Err != nil })
	refused("the server", servers.Get(w.compute, w.server).Err, 404)
	until("its volume is gone", func() bool { return volumes.Get(w.volumes, w.rootVolume).Err != nil })
	port, err := ports.Get(w.network, w.port).Extract()
	must("port", err)
	expect("its port is its user's, and free", port.DeviceID, "")
}
