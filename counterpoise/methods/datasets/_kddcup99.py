"""KDD Cup 1999, the file of 10 %: connections of a simulated network, 41 columns and the name of the attack.

Source: kdd.ics.uci.edu/databases/kddcup99/kddcup99.html (kddcup.names, training_attack_types).
"""

from __future__ import annotations

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _tables

FOLDER = "kddcup99"

DOS = ("back.", "land.", "neptune.", "pod.", "smurf.", "teardrop.")
PRB = ("ipsweep.", "nmap.", "portsweep.", "satan.")
R2L = ("ftp_write.", "guess_passwd.", "imap.", "multihop.", "phf.", "spy.", "warezclient.", "warezmaster.")

FILES: Files = {
    "kddcup.data_10_percent": (
        "http://kdd.ics.uci.edu/databases/kddcup99/kddcup.data_10_percent.gz",
        "sha256:f8c8267ebcd9c0ed1fd7d6277fe5bfff8732e9b7db8e61b873542b2a534b6f9a",
    )
}

_SERVICES = """
IRC X11 Z39_50 auth bgp courier csnet_ns ctf daytime discard domain domain_u echo eco_i ecr_i efs exec finger ftp
ftp_data gopher hostnames http http_443 imap4 iso_tsap klogin kshell ldap link login mtp name netbios_dgm netbios_ns
netbios_ssn netstat nnsp nntp ntp_u other pm_dump pop_2 pop_3 printer private red_i remote_job rje shell smtp sql_net
ssh sunrpc supdup systat telnet tftp_u tim_i time urh_i urp_i uucp uucp_path vmnet whois
"""

COLUMNS: tuple[Column, ...] = (
    Column("duration"),
    _tables.categorical("protocol_type", "icmp tcp udp"),
    _tables.categorical("service", _SERVICES),
    _tables.categorical("flag", "OTH REJ RSTO RSTOS0 RSTR S0 S1 S2 S3 SF SH"),
    *_tables.numeric("src_bytes dst_bytes"),
    *_tables.indicator("land"),
    *_tables.numeric("wrong_fragment urgent hot num_failed_logins"),
    *_tables.indicator("logged_in"),
    *_tables.numeric("num_compromised root_shell su_attempted num_root num_file_creations num_shells"),
    *_tables.numeric("num_access_files num_outbound_cmds"),
    *_tables.indicator("is_host_login is_guest_login"),
    *_tables.numeric("count srv_count serror_rate srv_serror_rate rerror_rate srv_rerror_rate same_srv_rate"),
    *_tables.numeric("diff_srv_rate srv_diff_host_rate dst_host_count dst_host_srv_count dst_host_same_srv_rate"),
    *_tables.numeric("dst_host_diff_srv_rate dst_host_same_src_port_rate dst_host_srv_diff_host_rate"),
    *_tables.numeric("dst_host_serror_rate dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate"),
)


def read(locate: Locate, positive: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return x_ND and y_N of the rows of denial of service (0) and of the `positive` attacks (1), in file order."""
    (name,) = FILES
    x_ND, attack_N = _tables.read(locate(name), COLUMNS)
    is_positive_N = np.isin(attack_N, positive)
    kept_N = is_positive_N | np.isin(attack_N, DOS)
    return x_ND[kept_N], is_positive_N[kept_N].astype(np.int64)
