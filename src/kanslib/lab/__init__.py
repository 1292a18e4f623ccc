"""What a notebook holds: a Lab, and the Observations that it yields.

lab.py           Lab: every public method, which hands on to the modules below
queries.py       what counts as a query; one view of a moment, in which each fact is read once
places.py        names that a learner types: Services, nodes, client, router
kubernetes.py    objects, tables, events, manifests
metallb.py       pools, leaders, elections, the map
traffic.py       requests, ARP scans, neighbor tables, routes
packet_path.py   targets, and a packet's paths through a node's rules
observation.py   Observation: requests, timeline, ARP and BGP around an action
comparing.py     a recording beside a simulation of it
time_machine.py  a recorded story under a slider
learning.py      exercises, predictions, progress
"""
