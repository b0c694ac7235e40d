package simulator

// Virtual disks with content: a descriptor and an extent whose size is the disk's, filled by uploads, copies and conversions.
// A child disk begins with its parent's content, which a guest sees through it. A datastore has an end.

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// DatastoreSize is what each datastore has room for, in bytes.
var DatastoreSize int64

type VirtualDiskManager struct {
	mo.VirtualDiskManager
}

func (m *VirtualDiskManager) MO() mo.VirtualDiskManager { return m.VirtualDiskManager }

func vdmNames(name string) []string {
	return []string{extentOf(name), name}
}

func extentOf(name string) string { return strings.TrimSuffix(name, ".vmdk") + "-flat.vmdk" }

// A host has a disk locked while a guest that runs writes to it.
func lockedBy(name string) *VirtualMachine {
	for _, obj := range Map.All("VirtualMachine") {
		vm, ok := obj.(*VirtualMachine)
		if !ok || vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			continue
		}
		for _, d := range object.VirtualDeviceList(vm.Config.Hardware.Device).SelectByType((*types.VirtualDisk)(nil)) {
			if b, ok := d.GetVirtualDevice().Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok && b.FileName == name {
				return vm
			}
		}
	}
	return nil
}

func fileFault(name string, fault types.BaseFileFault) types.BaseMethodFault {
	fault.GetFileFault().File = name
	return fault.(types.BaseMethodFault)
}

func used(dir string) int64 {
	var total int64
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return total
}

func (ds *Datastore) stat() error {
	info := ds.Info.GetDatastoreInfo()
	info.FreeSpace = DatastoreSize - used(info.Url)
	ds.Summary.Capacity, ds.Summary.FreeSpace = DatastoreSize, info.FreeSpace
	return nil
}

func hasRoom(file string, bytes int64) bool {
	for _, ds := range allDatastores() {
		if strings.HasPrefix(file, ds.Info.GetDatastoreInfo().Url+"/") {
			_ = ds.stat()
			return ds.Summary.FreeSpace >= bytes
		}
	}
	return true
}

func allDatastores() []*Datastore {
	var all []*Datastore
	for _, obj := range Map.All("Datastore") {
		all = append(all, obj.(*Datastore))
	}
	return all
}

// PrepareDatastores removes what belongs to no test, and gives each datastore its size.
func PrepareDatastores() {
	for _, ds := range allDatastores() {
		ds.Summary.Type = "VMFS"
		_ = ds.stat()
	}
}

// DatastoreDirectories tells where each datastore's files are.
func DatastoreDirectories() map[string]string {
	all := map[string]string{}
	for _, ds := range allDatastores() {
		all[ds.Name] = ds.Info.GetDatastoreInfo().Url
	}
	return all
}

// ServeControls lets a test do what no client of a vCenter can: end all sessions, change the datastores' size.
func ServeControls(s *Service) {
	s.ServeMux.HandleFunc("/test/sessions", func(w http.ResponseWriter, _ *http.Request) {
		sessionMutex.Lock()
		defer sessionMutex.Unlock()
		s.sm.sessions = map[string]Session{}
	})
	s.ServeMux.HandleFunc("/test/datastore-size", func(w http.ResponseWriter, r *http.Request) {
		DatastoreSize, _ = strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
		PrepareDatastores()
	})
}

func writeDescriptor(file string, parent string, bytes int64) error {
	text := fmt.Sprintf("# Disk DescriptorFile\nversion=1\ncreateType=\"vmfs\"\nRW %d VMFS \"%s\"\n", bytes/512, filepath.Base(extentOf(file)))
	if parent != "" {
		text += fmt.Sprintf("parentFileNameHint=\"%s\"\n", parent)
	}
	return os.WriteFile(file, []byte(text), 0600)
}

// Copies a hole as a hole: the datastores are as thin as the disks.
func copySparse(from, to string) error {
	return exec.Command("cp", "--sparse=always", from, to).Run()
}

// What was uploaded under a disk's name in a format of hosted products becomes an extent.
func convert(file, extent string) error {
	out, err := exec.Command("qemu-img", "convert", "-f", "vmdk", "-O", "raw", file, extent).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// createDisk makes a disk of a size, with the content of a parent where there is one.
func createDisk(dc *types.ManagedObjectReference, name, parent string, bytes int64) types.BaseMethodFault {
	fm := Map.FileManager()
	file, fault := fm.resolve(dc, name)
	if fault != nil {
		return fault
	}
	for _, one := range vdmNames(file) {
		if _, err := os.Stat(one); err == nil {
			return fileFault(name, new(types.FileAlreadyExists))
		}
	}
	if !hasRoom(file, 1<<16) {
		return fileFault(name, new(types.NoDiskSpace))
	}
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		return fileFault(name, new(types.FileNotFound))
	}
	if parent != "" {
		below, fault := fm.resolve(dc, parent)
		if fault != nil {
			return fault
		}
		info, err := os.Stat(extentOf(below))
		if err != nil {
			return fileFault(parent, new(types.FileNotFound))
		}
		if bytes < info.Size() {
			return &types.InvalidArgument{InvalidProperty: "capacityInKB"}
		}
		if err := copySparse(extentOf(below), extentOf(file)); err != nil {
			return fileFault(name, new(types.NoDiskSpace))
		}
	} else if f, err := os.Create(extentOf(file)); err == nil {
		_ = f.Close()
	}
	if err := os.Truncate(extentOf(file), bytes); err != nil {
		return fileFault(name, new(types.CannotCreateFile))
	}
	if err := writeDescriptor(file, parent, bytes); err != nil {
		return fileFault(name, new(types.CannotCreateFile))
	}
	return nil
}

// vdmMakeDisk is what adding or changing a disk of a VM does to its file.
func vdmMakeDisk(spec *types.VirtualDeviceConfigSpec, disk *types.VirtualDisk, req *types.CreateVirtualDisk_Task) types.BaseMethodFault {
	bytes := getDiskSize(disk)
	if spec.FileOperation != "" {
		parent := ""
		if b, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok && b.Parent != nil {
			parent = b.Parent.FileName
		}
		return createDisk(req.Datacenter, req.Name, parent, bytes)
	}
	file, fault := Map.FileManager().resolve(req.Datacenter, req.Name)
	if fault != nil {
		return fault
	}
	info, err := os.Stat(extentOf(file))
	if err != nil {
		return fileFault(req.Name, new(types.FileNotFound))
	}
	if spec.Operation == types.VirtualDeviceConfigSpecOperationEdit && bytes > info.Size() {
		if err := os.Truncate(extentOf(file), bytes); err != nil {
			return fileFault(req.Name, new(types.NoDiskSpace))
		}
		info, _ = os.Stat(extentOf(file))
	}
	// A disk tells its size, whoever attaches it.
	disk.CapacityInBytes, disk.CapacityInKB = info.Size(), info.Size()/1024
	return nil
}

// The end of a VM is the end of all its disks, wherever they are.
func removeWithDisks(devices object.VirtualDeviceList) []types.BaseVirtualDeviceConfigSpec {
	spec, _ := devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationRemove)
	for i := range spec {
		one := spec[i].GetVirtualDeviceConfigSpec()
		if _, ok := one.Device.(*types.VirtualDisk); ok {
			one.FileOperation = types.VirtualDeviceConfigSpecFileOperationDestroy
		}
	}
	return spec
}

func (m *VirtualDiskManager) CreateVirtualDiskTask(_ *Context, req *types.CreateVirtualDisk_Task) soap.HasFault {
	task := CreateTask(m, "createVirtualDisk", func(*Task) (types.AnyType, types.BaseMethodFault) {
		spec, ok := req.Spec.(*types.FileBackedVirtualDiskSpec)
		if !ok {
			return nil, &types.InvalidArgument{InvalidProperty: "spec"}
		}
		return req.Name, createDisk(req.Datacenter, req.Name, "", spec.CapacityKb*1024)
	})
	return &methods.CreateVirtualDisk_TaskBody{Res: &types.CreateVirtualDisk_TaskResponse{Returnval: task.Run()}}
}

func (m *VirtualDiskManager) DeleteVirtualDiskTask(_ *Context, req *types.DeleteVirtualDisk_Task) soap.HasFault {
	task := CreateTask(m, "deleteVirtualDisk", func(*Task) (types.AnyType, types.BaseMethodFault) {
		file, fault := Map.FileManager().resolve(req.Datacenter, req.Name)
		if fault != nil {
			return nil, fault
		}
		if lockedBy(req.Name) != nil {
			return nil, fileFault(req.Name, new(types.FileLocked))
		}
		if _, err := os.Stat(file); err != nil {
			return nil, fileFault(req.Name, new(types.FileNotFound))
		}
		for _, one := range vdmNames(file) {
			_ = os.Remove(one)
		}
		return nil, nil
	})
	return &methods.DeleteVirtualDisk_TaskBody{Res: &types.DeleteVirtualDisk_TaskResponse{Returnval: task.Run()}}
}

func (m *VirtualDiskManager) MoveVirtualDiskTask(_ *Context, req *types.MoveVirtualDisk_Task) soap.HasFault {
	task := CreateTask(m, "moveVirtualDisk", func(*Task) (types.AnyType, types.BaseMethodFault) {
		from, to, fault := m.pair(req.SourceDatacenter, req.SourceName, req.DestDatacenter, req.DestName)
		if fault != nil {
			return nil, fault
		}
		if err := os.Rename(extentOf(from), extentOf(to)); err != nil {
			return nil, fileFault(req.SourceName, new(types.FileNotFound))
		}
		_ = os.Remove(from)
		info, _ := os.Stat(extentOf(to))
		_ = writeDescriptor(to, "", info.Size())
		return nil, nil
	})
	return &methods.MoveVirtualDisk_TaskBody{Res: &types.MoveVirtualDisk_TaskResponse{Returnval: task.Run()}}
}

func (m *VirtualDiskManager) CopyVirtualDiskTask(_ *Context, req *types.CopyVirtualDisk_Task) soap.HasFault {
	task := CreateTask(m, "copyVirtualDisk", func(*Task) (types.AnyType, types.BaseMethodFault) {
		// A vCenter does not take one: what a copy becomes is what its source was.
		if req.DestSpec != nil {
			return nil, new(types.NotImplemented)
		}
		from, to, fault := m.pair(req.SourceDatacenter, req.SourceName, req.DestDatacenter, req.DestName)
		if fault != nil {
			return nil, fault
		}
		if lockedBy(req.SourceName) != nil {
			return nil, fileFault(req.SourceName, new(types.FileLocked))
		}
		copy := copySparse
		source := extentOf(from)
		if _, err := os.Stat(source); err != nil {
			copy, source = convert, from
		}
		info, err := os.Stat(source)
		if err != nil {
			return nil, fileFault(req.SourceName, new(types.FileNotFound))
		}
		if !hasRoom(to, info.Sys().(*syscall.Stat_t).Blocks*512) {
			return nil, fileFault(req.DestName, new(types.NoDiskSpace))
		}
		if err := copy(source, extentOf(to)); err != nil {
			_ = os.Remove(extentOf(to))
			return nil, &types.InvalidDiskFormat{}
		}
		info, _ = os.Stat(extentOf(to))
		_ = writeDescriptor(to, "", info.Size())
		return nil, nil
	})
	return &methods.CopyVirtualDisk_TaskBody{Res: &types.CopyVirtualDisk_TaskResponse{Returnval: task.Run()}}
}

func (m *VirtualDiskManager) ExtendVirtualDiskTask(_ *Context, req *types.ExtendVirtualDisk_Task) soap.HasFault {
	task := CreateTask(m, "extendVirtualDisk", func(*Task) (types.AnyType, types.BaseMethodFault) {
		file, fault := Map.FileManager().resolve(req.Datacenter, req.Name)
		if fault != nil {
			return nil, fault
		}
		info, err := os.Stat(extentOf(file))
		if err != nil {
			return nil, fileFault(req.Name, new(types.FileNotFound))
		}
		if req.NewCapacityKb*1024 < info.Size() {
			return nil, &types.InvalidArgument{InvalidProperty: "newCapacityKb"}
		}
		if !hasRoom(file, 1<<16) {
			return nil, fileFault(req.Name, new(types.NoDiskSpace))
		}
		_ = os.Truncate(extentOf(file), req.NewCapacityKb*1024)
		_ = writeDescriptor(file, "", req.NewCapacityKb*1024)
		return nil, nil
	})
	return &methods.ExtendVirtualDisk_TaskBody{Res: &types.ExtendVirtualDisk_TaskResponse{Returnval: task.Run()}}
}

// pair resolves a source and a destination that is free.
func (m *VirtualDiskManager) pair(fromDc *types.ManagedObjectReference, from string, toDc *types.ManagedObjectReference, to string) (string, string, types.BaseMethodFault) {
	fm := Map.FileManager()
	if toDc == nil {
		toDc = fromDc
	}
	source, fault := fm.resolve(fromDc, from)
	if fault != nil {
		return "", "", fault
	}
	target, fault := fm.resolve(toDc, to)
	if fault != nil {
		return "", "", fault
	}
	if _, err := os.Stat(target); err == nil {
		return "", "", fileFault(to, new(types.FileAlreadyExists))
	}
	if _, err := os.Stat(filepath.Dir(target)); err != nil {
		return "", "", fileFault(to, new(types.FileNotFound))
	}
	return source, target, nil
}

func (m *VirtualDiskManager) QueryVirtualDiskUuid(_ *Context, req *types.QueryVirtualDiskUuid) soap.HasFault {
	body := new(methods.QueryVirtualDiskUuidBody)
	file, fault := Map.FileManager().resolve(req.Datacenter, req.Name)
	if fault == nil {
		if _, err := os.Stat(file); err != nil {
			fault = fileFault(req.Name, new(types.FileNotFound))
		}
	}
	if fault != nil {
		body.Fault_ = Fault("", fault)
		return body
	}
	body.Res = &types.QueryVirtualDiskUuidResponse{Returnval: uuid.NewSHA1(uuid.NameSpaceOID, []byte(file)).String()}
	return body
}

func (m *VirtualDiskManager) SetVirtualDiskUuid(_ *Context, req *types.SetVirtualDiskUuid) soap.HasFault {
	return &methods.SetVirtualDiskUuidBody{Res: new(types.SetVirtualDiskUuidResponse)}
}

// An upload by a lease lies beside the disk until it is whole.
func nfcUpload(file string) string { return file + ".upload" }

func keepUpload(method, file string) error {
	if method != http.MethodPut && method != http.MethodPost {
		return nil
	}
	defer os.Remove(nfcUpload(file))
	if err := convert(nfcUpload(file), extentOf(file)); err != nil {
		return err
	}
	info, err := os.Stat(extentOf(file))
	if err != nil {
		return err
	}
	return writeDescriptor(file, "", info.Size())
}

// What a lease gives of a disk is streamOptimized.
func openExport(file string) (io.ReadCloser, error) {
	stream := file + ".export"
	out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", file, stream).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	defer os.Remove(stream)
	return os.Open(stream)
}

func (vm *VirtualMachine) removeFilesUnlessMade(fault types.BaseMethodFault, isRegistered bool) {
	if _, wasThere := fault.(*types.FileAlreadyExists); fault == nil || wasThere || isRegistered {
		return
	}
	p := vm.vmx(nil)
	_ = os.RemoveAll(filepath.Dir(filepath.Join(vm.findDatastore(p.Datastore).Info.GetDatastoreInfo().Url, p.Path)))
}

func (vm *VirtualMachine) setExtraConfig(option types.BaseOptionValue) {
	key, value := option.GetOptionValue().Key, option.GetOptionValue().Value
	for i, one := range vm.Config.ExtraConfig {
		if one.GetOptionValue().Key == key {
			vm.Config.ExtraConfig = append(vm.Config.ExtraConfig[:i], vm.Config.ExtraConfig[i+1:]...)
			break
		}
	}
	// An empty value removes it.
	if value != "" {
		vm.Config.ExtraConfig = append(vm.Config.ExtraConfig, option)
	}
}


// vdmCreateVirtualDisk is what the library makes the disk of a first class disk with.
func vdmCreateVirtualDisk(_ types.VirtualDeviceConfigSpecFileOperation, req *types.CreateVirtualDisk_Task) types.BaseMethodFault {
	bytes := int64(0)
	if spec, ok := req.Spec.(*types.FileBackedVirtualDiskSpec); ok {
		bytes = spec.CapacityKb * 1024
	}
	return createDisk(req.Datacenter, req.Name, "", bytes)
}
