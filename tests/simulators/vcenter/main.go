// A simulated vCenter for tests: one data center with a cluster of hosts, its datastores in temporary directories.
//
// It prints its address and its datastores' directories as JSON, and ends with its standard input.
package main

import (
	"encoding/json"
	"flag"
	"io"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"

	_ "github.com/vmware/govmomi/pbm/simulator"
)

func main() {
	model := simulator.VPX()
	model.Machine = 1
	model.Host = 0
	model.Portgroup = 1
	flag.IntVar(&model.Cluster, "clusters", 1, "how many clusters")
	flag.IntVar(&model.ClusterHost, "hosts", 2, "how many hosts a cluster has")
	flag.IntVar(&model.Datastore, "datastores", 1, "how many datastores")
	flag.Int64Var(&simulator.DatastoreSize, "datastore-size", 64<<30, "bytes of each datastore")
	flag.Parse()
	if err := model.Create(); err != nil {
		panic(err)
	}
	simulator.PrepareDatastores()
	model.Service.RegisterEndpoints = true
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword("user", "pass")}
	server := model.Service.NewServer()
	simulator.ServeControls(model.Service)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"url": server.URL.Host, "datastores": simulator.DatastoreDirectories(),
	})
	_, _ = io.Copy(io.Discard, os.Stdin)
	model.Remove()
	server.Close()
}
