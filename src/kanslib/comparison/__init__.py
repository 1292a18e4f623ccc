"""Compare two clusters by meaning: leaders, addresses, endpoints, rules, routes, outages.

facts.py       facts of one cluster at a moment, with names that are the same in every cluster
recordings.py  two recordings, moment by moment
simulation.py  a recording and the simulator that replays it
"""
