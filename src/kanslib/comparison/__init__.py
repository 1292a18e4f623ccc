"""Two clusters compared by meaning: leaders, addresses, endpoints, rules, routes, outages.

facts.py       facts of one cluster at a moment, under names that do not differ from cluster to cluster
recordings.py  two recordings, moment by moment
simulation.py  a recording and the simulator that replays it
"""
