"""Captures and their protocols: bytes in, frames and messages out. Imports nothing but the standard library, and numpy.

arp.py, bgp.py, ethernet.py, http.py, icmp.py, ip.py, tcp.py   one protocol each
bgp_fsm.py     the states of a BGP session, from its messages
capture.py     the frames of a capture, one by one
checks.py      the length check that the decoders share
pcap.py        the records of pcap and pcapng files
table.py       the frames of a capture as numpy columns
tcp_stream.py  TCP streams, reassembled
"""
