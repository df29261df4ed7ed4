"""One torrent in libtorrent. Arguments: what to do (seed it; fetch it and end; keep it, which is to fetch it, say "whole"
and serve it), the way in which peers are found, the own address with the port, the folder of the files, the torrent (a file or
a magnet link), nodes of the distributed hash table with commas between them."""

import sys
import time

import libtorrent

task, way, address, folder, torrent, nodes = sys.argv[1:]
category = libtorrent.alert.category_t
session = libtorrent.session(
    {
        "listen_interfaces": address,
        "alert_mask": category.error_notification
        | category.status_notification
        | category.tracker_notification
        | category.peer_notification
        | category.connect_notification,
        "enable_dht": way == "dht",
        "enable_lsd": way == "lpd",
        "dht_bootstrap_nodes": nodes,
        # All of them are in one network.
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        # Two that dial each other at once hang up on each other, and would try again after a minute.
        "min_reconnect_time": 1,
        # Where many of them are on one host.
        "allow_multiple_connections_per_ip": True,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "enable_upnp": False,
        "enable_natpmp": False,
    }
)
if torrent.startswith("magnet:"):
    parameters = libtorrent.parse_magnet_uri(torrent)
else:
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
parameters.save_path = folder
handle = session.add_torrent(parameters)
while task == "seed" or not handle.status().is_seeding:
    session.wait_for_alert(100)
    for alert in session.pop_alerts():
        print(alert.message(), flush=True)
# The files are written by other threads.
handle.flush_cache()
while not any(isinstance(alert, libtorrent.cache_flushed_alert) for alert in session.pop_alerts()):
    session.wait_for_alert(100)
print("whole", flush=True)
while task == "keep":
    time.sleep(1)
