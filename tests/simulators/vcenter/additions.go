package simulator

// Methods that Debian's library does not have.

import (
	"net/url"
	"path"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// AcquireTicket gives a ticket for a console, which nothing listens to.
func (vm *VirtualMachine) AcquireTicket(req *types.AcquireTicket) soap.HasFault {
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return &methods.AcquireTicketBody{Fault_: Fault("", &types.InvalidPowerState{})}
	}
	return &methods.AcquireTicketBody{Res: &types.AcquireTicketResponse{Returnval: types.VirtualMachineTicket{
		Ticket: "cst-" + vm.Self.Value + "--tp-1", CfgFile: vm.Config.Files.VmPathName, Host: "127.0.0.1", Port: 902}}}
}

func (vm *VirtualMachine) RebootGuest(ctx *Context, req *types.RebootGuest) soap.HasFault {
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return &methods.RebootGuestBody{Fault_: Fault("", &types.InvalidPowerState{})}
	}
	return &methods.RebootGuestBody{Res: new(types.RebootGuestResponse)}
}

func (vm *VirtualMachine) MigrateVMTask(ctx *Context, req *types.MigrateVM_Task) soap.HasFault {
	inner := vm.RelocateVMTask(ctx, &types.RelocateVM_Task{This: req.This, Spec: types.VirtualMachineRelocateSpec{Host: req.Host, Pool: req.Pool}})
	return &methods.MigrateVM_TaskBody{Res: &types.MigrateVM_TaskResponse{Returnval: inner.(*methods.RelocateVM_TaskBody).Res.Returnval}}
}

func (s *SearchIndex) FindAllByUuid(ctx *Context, req *types.FindAllByUuid) soap.HasFault {
	body := &methods.FindAllByUuidBody{Res: new(types.FindAllByUuidResponse)}
	for _, obj := range Map.All("VirtualMachine") {
		vm := obj.(*VirtualMachine)
		id := vm.Config.Uuid
		if isTrue(req.InstanceUuid) {
			id = vm.Config.InstanceUuid
		}
		if req.VmSearch && id == req.Uuid {
			body.Res.Returnval = append(body.Res.Returnval, vm.Self)
		}
	}
	return body
}

// ExportVm gives a lease on the disks of a VM that is off.
func (vm *VirtualMachine) ExportVm(ctx *Context, req *types.ExportVm) soap.HasFault {
	if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
		return &methods.ExportVmBody{Fault_: Fault("", &types.InvalidPowerState{})}
	}
	lease := NewHttpNfcLease(ctx, vm.Self)
	ref := lease.Reference()
	lease.Info.Lease = ref
	for _, d := range object.VirtualDeviceList(vm.Config.Hardware.Device).SelectByType((*types.VirtualDisk)(nil)) {
		info, ok := d.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo)
		if !ok {
			continue
		}
		var file object.DatastorePath
		file.FromString(info.GetVirtualDeviceFileBackingInfo().FileName)
		name := path.Base(file.Path)
		ds := vm.findDatastore(file.Datastore)
		lease.files[name] = extentOf(path.Join(ds.Info.GetDatastoreInfo().Url, file.Path))
		lease.Info.DeviceUrl = append(lease.Info.DeviceUrl, types.HttpNfcLeaseDeviceUrl{
			Key: name, TargetId: name, Disk: types.NewBool(true),
			Url: (&url.URL{Scheme: "https", Host: "*", Path: nfcPrefix + path.Join(ref.Value, name)}).String()})
	}
	return &methods.ExportVmBody{Res: &types.ExportVmResponse{Returnval: ref}}
}

// A real vCenter names only managed entities as a task's entity.
func isEntity(ref types.ManagedObjectReference) bool {
	switch ref.Type {
	case "FileManager", "VirtualDiskManager", "VirtualMachineSnapshot", "VcenterVStorageObjectManager", "HostVStorageObjectManager":
		return false
	}
	return true
}
