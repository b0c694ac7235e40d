// Walks a server's life with gophercloud, as a user without special rights. The first surprise ends it with status 1.
//
// Where the cloud is and who the user is, it takes from the environment (OS_AUTH_URL and its like); the image,
// the flavors and the network are those of tools/cloud.sh.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/gophercloud/gophercloud"
	"github.com/gophercloud/gophercloud/openstack"
)

type cloud struct {
	compute, network, volumes, images *gophercloud.ServiceClient
	undo                              []func()
}

func main() {
	c := connect()
	defer c.cleanUp()
	w := c.prepare()
	w.create()
	w.describe()
	w.readConsoles()
	w.attach()
	w.comeAndGo()
	w.readHistory()
	w.delete()
}

func connect() *cloud {
	options, err := openstack.AuthOptionsFromEnv()
	must("environment", err)
	provider, err := openstack.AuthenticatedClient(options)
	must("authentication", err)
	where := gophercloud.EndpointOpts{Region: os.Getenv("OS_REGION_NAME")}
	blocks := where
	// What it looks for unless told: volumev3, by which few catalogs still call it.
	blocks.Type = "block-storage"
	c := &cloud{}
	c.compute, err = openstack.NewComputeV2(provider, where)
	must("compute", err)
	c.network, err = openstack.NewNetworkV2(provider, where)
	must("network", err)
	c.volumes, err = openstack.NewBlockStorageV3(provider, blocks)
	must("volumes", err)
	c.images, err = openstack.NewImageServiceV2(provider, where)
	must("images", err)
	// Tags at create, a group's one policy, volume types: all that this library knows of.
	c.compute.Microversion = "2.67"
	return c
}

// later: what is to be done when the walk is over, however it ended. The last comes first.
func (c *cloud) later(do func()) { c.undo = append(c.undo, do) }

func (c *cloud) cleanUp() {
	failure := recover()
	for i := len(c.undo) - 1; i >= 0; i-- {
		c.undo[i]()
	}
	if failure != nil {
		fmt.Println("FAILED:", failure)
		os.Exit(1)
	}
	fmt.Println("walked")
}

func must(what string, err error) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", what, err))
	}
}

func expect(what string, got, wanted interface{}) {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		panic(fmt.Sprintf("%s: %v instead of %v", what, got, wanted))
	}
	fmt.Printf("%s: %v\n", what, got)
}

// refused: the call is answered with that status.
func refused(what string, err error, status int) {
	got := 0
	switch answer := err.(type) {
	case gophercloud.ErrDefault400:
		got = answer.Actual
	case gophercloud.ErrDefault404:
		got = answer.Actual
	case gophercloud.ErrDefault409:
		got = answer.Actual
	}
	expect(what, got, status)
}

// until: waits for a condition, two minutes at most.
func until(what string, holds func() bool) {
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(250 * time.Millisecond) {
		if time.Now().After(end) {
			panic(what + ": not within two minutes")
		}
	}
	fmt.Println(what)
}
