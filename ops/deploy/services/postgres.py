# Patroni, with something that its release 3.0.2, which is Debian 12's, lacks: what PostgreSQL waits for is always what
# Patroni has noted. When a replica ended before Patroni had noted that commits wait for it, they waited for good.
from patroni.__main__ import main
from patroni.ha import Ha
from patroni.version import __version__

change = Ha.process_sync_replication


def process_sync_replication(self):
    if self.is_synchronous_mode() and not self.is_synchronous_mode_strict():
        noted = [] if self.cluster.sync.is_empty else self.cluster.sync.members
        config, handler = self.patroni.config, self.state_handler.sync_handler
        best, _ = handler.current_state(
            self.cluster, config['synchronous_node_count'], config['maximum_lag_on_syncnode'])
        if set(best) == set(noted):  # so change() would do nothing
            handler.set_synchronous_standby_names(best)
            return
    change(self)


if __version__ == '3.0.2':
    Ha.process_sync_replication = process_sync_replication
if __name__ == '__main__':  # it starts PostgreSQL by a process that reads this, too
    main()
