# Patroni, with something that its release 3.0.2, which is Debian 12's, lacks: what PostgreSQL waits for is always what
# Patroni has noted. When a replica ended before Patroni had noted that commits wait for it, they waited for good.
from patroni.__main__ import main
from patroni.ha import Ha
from patroni.version import __version__


def process_sync_replication(self):
    if self.is_synchronous_mode() and not self.is_synchronous_mode_strict():
        noted = [] if self.cluster.sync.is_empty else self.cluster.sync.members
        config, handler = self.patroni.config, self.state_handler.sync_handler
        best, _ = handler.current_state(
            self.cluster, config['synchronous_node_count'], config['maximum_lag_on_syncnode'])
        if set(best) == set(noted):  # so change() would do nothing
            if not best and self.state_handler.synchronous_standby_names() and not self.dcs.write_sync_state(
                    self.state_handler.name, None, index=self.cluster.sync.index):
                return  # a replica was noted after all, which the next turn knows
            handler.set_synchronous_standby_names(best)
            return
    change(self)


if __version__ == '3.0.2':
    change = Ha.process_sync_replication
    Ha.process_sync_replication = process_sync_replication
if __name__ == '__main__':
    # It starts PostgreSQL by a process that would read this file again, and it would wait for good when a deployment
    # has removed it.
    del __file__
    main()
