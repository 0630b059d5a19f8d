// SPDX-License-Identifier: LGPL-2.1-or-later

// go-libvirt, a client that shares no code with libvirt: life cycle, events, metadata, statistics.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/digitalocean/go-libvirt"
)

var count, failed int

func contextFor(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	time.AfterFunc(d, cancel)
	return ctx
}

func check(good bool, what string, detail interface{}) {
	count++
	if good {
		fmt.Printf("ok %d - %s\n", count, what)
	} else {
		failed++
		fmt.Printf("not ok %d - %s: %v\n", count, what, detail)
	}
}

func main() {
	c, err := net.DialTimeout("unix", os.Args[1], 5*time.Second)
	if err != nil {
		fmt.Printf("Bail out! %v\n", err)
		os.Exit(1)
	}
	l := libvirt.New(c)
	err = l.ConnectToURI("kite:///system")
	check(err == nil, "connect to kite:///system", err)
	version, err := l.ConnectGetLibVersion()
	check(err == nil && version >= 8000000, "library version", err)
	xml, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	dom, err := l.DomainDefineXML(string(xml))
	check(err == nil && dom.Name == "go", "define", err)
	events, err := l.LifecycleEvents(contextFor(30 * time.Second))
	check(err == nil, "subscribe to life cycle events", err)
	err = l.DomainCreate(dom)
	check(err == nil, "start", err)
	seen := ""
	deadline := time.After(10 * time.Second)
	for len(seen) < 2 {
		select {
		case e, open := <-events:
			if !open {
				deadline = time.After(0)
				continue
			}
			if e.Event == int32(libvirt.DomainEventResumed) {
				seen += "r"
			}
			if e.Event == int32(libvirt.DomainEventStarted) {
				seen += "s"
			}
			continue
		case <-deadline:
		}
		break
	}
	check(seen == "rs", "resumed and started events in order", seen)
	state, _, err := l.DomainGetState(dom, 0)
	check(err == nil && libvirt.DomainState(state) == libvirt.DomainRunning, "state", state)
	domains, n, err := l.ConnectListAllDomains(1, libvirt.ConnectListDomainsActive)
	check(err == nil && n == 1 && domains[0].Name == "go", "list", err)
	stats, err := l.ConnectGetAllDomainStats([]libvirt.Domain{}, 0, 0)
	check(err == nil && len(stats) == 1 && len(stats[0].Params) > 5, "statistics of all domains", err)
	text, err := l.DomainGetXMLDesc(dom, 0)
	check(err == nil && len(text) > 100, "XML", err)
	err = l.DomainSetMetadata(dom, int32(libvirt.DomainMetadataTitle), libvirt.OptString{"a title"}, nil, nil, libvirt.DomainAffectLive)
	check(err == nil, "title", err)
	err = l.DomainSetMemoryParameters(dom, []libvirt.TypedParam{}, 0)
	check(err != nil, "an empty list of parameters is refused", err)
	err = l.DomainSuspend(dom)
	check(err == nil, "suspend", err)
	err = l.DomainDestroy(dom)
	check(err == nil, "destroy", err)
	err = l.DomainUndefine(dom)
	check(err == nil, "undefine", err)
	_, err = l.DomainLookupByName("go")
	check(libvirt.IsNotFound(err), "look-up of what is gone", err)
	err = l.Disconnect()
	check(err == nil, "disconnect", err)
	fmt.Printf("1..%d\n", count)
	if failed > 0 {
		os.Exit(1)
	}
}
