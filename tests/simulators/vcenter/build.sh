#!/bin/bash
# Builds a simulated vCenter from Debian's govmomi library: build.sh OUT
#
# Debian's files stay as they are: some are patched or replaced while building (go build -overlay), and ours are added.
# Needs the packages golang-go and golang-github-vmware-govmomi-dev.
set -euo pipefail
out=$(realpath -m "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
simulator=/usr/share/gocode/src/github.com/vmware/govmomi/simulator
overlay=()

# patch FILE SED...: lay a patched copy over a file of the library. A version that it does not fit is an error.
patch_file() {
    local file=$1 expression copy
    shift
    copy=$work/$file
    cp "$simulator/$file" "$copy"
    for expression in "$@"; do
        sed "$expression" "$copy" >"$copy.new"
        if cmp -s "$copy" "$copy.new"; then
            echo "$file: nothing matches '$expression': another version of the library?" >&2
            exit 1
        fi
        mv "$copy.new" "$copy"
    done
    overlay+=("\"$simulator/$file\":\"$copy\"")
}

add_file() { overlay+=("\"$simulator/$2\":\"$here/$1\""); }

# A task's entity is a managed entity only: pyvmomi refuses others. An error's text names the fault.
patch_file task.go 's/^\ttask\.Info\.Entity = &ref$/\tif isEntity(ref) { task.Info.Entity = \&ref }/'
# What is uploaded by a lease is kept.
patch_file http_nfc_lease.go 's/^\t"io\/ioutil"$//' \
    's/^\t\tdst = ioutil\.Discard$/\t\tf, err := os.Create(nfcUpload(file)); if err != nil { http.Error(w, err.Error(), 500); return }; defer f.Close(); dst = f/' \
    's/^\t\tf, err := os\.Open(file)$/\t\tf, err := openExport(file)/' \
    's/^\t_ = src\.Close()$/\t_ = src.Close()\n\tif err == nil { err = keepUpload(r.Method, file) }/' \
    's/^\tn, err := io\.Copy(dst, src)$/\tif r.Method == http.MethodGet { dst = w }\n\tn, err := io.Copy(dst, src)/'
# Disks have content, a size and a parent; an option that is set again replaces the one before; a VM's end is its disks' end.
patch_file virtual_machine.go \
    's/err := vdmCreateVirtualDisk(spec\.FileOperation, &types\.CreateVirtualDisk_Task{/err := vdmMakeDisk(spec, x, \&types.CreateVirtualDisk_Task{/' \
    's/ds\.Summary\.FreeSpace [-+]= getDiskSize(.*)$/_ = ds.stat()/' \
    's/vm\.Config\.ExtraConfig = append(vm\.Config\.ExtraConfig, c)/vm.setExtraConfig(c)/' \
    's/^\t\tspec, _ := devices\.ConfigSpec(types\.VirtualDeviceConfigSpecOperationRemove)$/\t\tspec := removeWithDisks(devices)/' \
    's/^\t\tsnapshot\.Config = \*vm\.Config$/&\n\t\tif fault := vm.freezeDisks(snapshot); fault != nil { return nil, fault }/'
# A snapshot is one of the disks, too.
patch_file snapshot.go 's/^\t\t\tMap\.Update(vm, changes)$/\t\t\tvm.thawDisks(Map.Get(req.This).(*VirtualMachineSnapshot))\n&/'
# A machine that could not be made leaves no files.
patch_file folder.go 's/^\terr = vm\.create(&c\.req\.Config, c\.register)$/&\n\tvm.removeFilesUnlessMade(err, c.register)/'
# A datastore's room is ours to say.
printf 'package simulator\n' >"$work/os_unix.go"
overlay+=("\"$simulator/os_unix.go\":\"$work/os_unix.go\"")
add_file disks.go virtual_disk_manager.go
add_file additions.go zz_additions.go
add_file snapshots.go zz_snapshots.go

mkdir -p "$work/src/vcenter"
cp "$here/main.go" "$work/src/vcenter/"
printf '{"Replace":{%s}}' "$(IFS=,; echo "${overlay[*]}")" >"$work/overlay.json"
cd "$work/src/vcenter"
# The cache outlives the build: what has not changed is not compiled again.
GOPATH=$work:/usr/share/gocode GO111MODULE=off go build -overlay "$work/overlay.json" -o "$out" .
