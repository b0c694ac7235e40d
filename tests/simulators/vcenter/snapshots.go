package simulator

// Snapshots of machines, down to their disks: a snapshot freezes a disk's file, and the machine goes on with one that stands on it.
// The end of a snapshot is that of the file above it, whose content it gets.

import (
	"fmt"
	"os"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

type flatBacking = types.VirtualDiskFlatVer2BackingInfo

func copyDevices(all []types.BaseVirtualDevice, change func(*flatBacking) *flatBacking) []types.BaseVirtualDevice {
	var devices []types.BaseVirtualDevice
	for _, device := range all {
		if disk, ok := device.(*types.VirtualDisk); ok {
			if backing, ok := disk.Backing.(*flatBacking); ok {
				other := *disk
				other.Backing = change(backing)
				device = &other
			}
		}
		devices = append(devices, device)
	}
	return devices
}

func (vm *VirtualMachine) freezeDisks(snapshot *VirtualMachineSnapshot) types.BaseMethodFault {
	var fault types.BaseMethodFault
	dc := Map.getEntityDatacenter(vm).Self
	frozen := vm.Config.Hardware.Device
	moved := copyDevices(frozen, func(backing *flatBacking) *flatBacking {
		info, name := *backing, ""
		for number := 1; ; number++ {
			name = fmt.Sprintf("%s-%06d.vmdk", strings.TrimSuffix(backing.FileName, ".vmdk"), number)
			file, _ := Map.FileManager().resolve(&dc, name)
			if _, err := os.Stat(file); err != nil {
				break
			}
		}
		below, _ := Map.FileManager().resolve(&dc, backing.FileName)
		stat, err := os.Stat(extentOf(below))
		if err != nil {
			fault = fileFault(backing.FileName, new(types.FileNotFound))
		} else if fault == nil {
			fault = createDisk(&dc, name, backing.FileName, stat.Size())
		}
		info.FileName, info.Parent = name, backing
		return &info
	})
	if fault == nil {
		snapshot.Config.Hardware.Device = frozen
		vm.Config.Hardware.Device = moved
	}
	return fault
}

func (vm *VirtualMachine) thawDisks(snapshot *VirtualMachineSnapshot) {
	dc := Map.getEntityDatacenter(vm).Self
	for _, device := range snapshot.Config.Hardware.Device {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		below := disk.Backing.(*flatBacking)
		merge := func(backing *flatBacking) *flatBacking {
			if backing.Parent == nil || backing.Parent.FileName != below.FileName {
				return backing
			}
			from, _ := Map.FileManager().resolve(&dc, backing.FileName)
			to, _ := Map.FileManager().resolve(&dc, below.FileName)
			if os.Rename(extentOf(from), extentOf(to)) == nil {
				_ = os.Remove(from)
			}
			info := *below
			return &info
		}
		vm.Config.Hardware.Device = copyDevices(vm.Config.Hardware.Device, merge)
		for _, ref := range allSnapshotsInTree(vm.Snapshot.RootSnapshotList) {
			if other, ok := Map.Get(ref).(*VirtualMachineSnapshot); ok && other.Self != snapshot.Self {
				other.Config.Hardware.Device = copyDevices(other.Config.Hardware.Device, merge)
			}
		}
	}
}
