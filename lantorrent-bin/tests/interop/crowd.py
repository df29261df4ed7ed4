"""Nodes of a distributed hash table at the addresses given, each as HOST:PORT. Prints who announces."""

import sys
import time

import libtorrent

addresses = sys.argv[1:]
sessions = [
    libtorrent.session(
        {
            "listen_interfaces": address,
            "alert_mask": libtorrent.alert.category_t.dht_notification,
            "dht_bootstrap_nodes": "" if address == addresses[0] else addresses[0],
            # All of them are in one network.
            "dht_restrict_routing_ips": False,
            "dht_restrict_search_ips": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
        }
    )
    for address in addresses
]

while True:
    for session in sessions:
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.dht_announce_alert):
                print("announced by", alert.ip[0] if isinstance(alert.ip, tuple) else alert.ip, flush=True)
    time.sleep(0.1)
