//! Networks after this process was started anew, or the host.

use std::sync::{Arc, Weak};
use std::time::Duration;

use proa_networks::{Endpoint, Published};

use super::{Active, Networks, Place, join};
use crate::{Engine, container::definition::Definition, engine::Kept};

/// How often it is looked whether others took away what networks need.
const MENDING: Duration = Duration::from_secs(15);

/// A container that was found running, and where it is.
struct Found {
    definition: Arc<Definition>,
    place: Arc<Place>,
}

impl Engine {
    /// Everything is taken up as it was: networks, endpoints of live containers, their ports and names.
    pub(crate) async fn reopen_networks(&self, mut kept: Kept) {
        let found = self.found();
        for one in &found {
            self.networks.note(one);
        }
        let networks = Arc::clone(&self.networks);
        let (endpoints, ports) = all_of(&found);
        let restore = move || {
            let made = networks.all().into_iter();
            let made = made.filter_map(|record| record.network.clone()).collect();
            networks.fabric.restore(made, endpoints, ports)
        };
        match tokio::task::spawn_blocking(restore).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "restoring the networks failed"),
            Err(error) => tracing::error!(%error, "restoring the networks failed"),
        }
        for one in &found {
            self.networks.take_over(one, &mut kept);
            if !self.is_there(one) {
                self.networks.unpublish(&one.definition, &one.place);
                self.networks.leave(&one.definition, &one.place);
            }
        }
        for name in kept.keys() {
            // The keeper is gone only when the process ends.
            let _ = self.keeper.get_ref().release(name);
        }
        tokio::spawn(mend(Arc::downgrade(&self.networks)));
    }

    /// Whether a container still runs: it may have ended while its networks were taken up, and left them before.
    fn is_there(&self, found: &Found) -> bool {
        let container = self.container(found.definition.id.as_str());
        container.is_ok_and(|container| container.seen().state.live().is_some())
    }

    fn found(&self) -> Vec<Found> {
        let live = |container: crate::Container| {
            let seen = container.seen();
            let place = Arc::clone(&seen.state.live()?.place);
            Some(Found {
                definition: seen.definition,
                place,
            })
        };
        self.containers.all().into_iter().filter_map(live).collect()
    }
}

/// Another firewall's reload takes our rules away without a word, so it is looked for now and then.
async fn mend(networks: Weak<Networks>) {
    loop {
        tokio::time::sleep(MENDING).await;
        let Some(networks) = networks.upgrade() else {
            return;
        };
        let mended = tokio::task::spawn_blocking(move || networks.fabric.mend()).await;
        if let Ok(Err(error)) = mended {
            tracing::warn!(%error, "what networks need could not be put back");
        }
    }
}

/// Endpoints, and ports with the endpoints they lead to.
#[expect(clippy::type_complexity, reason = "what the fabric is given back")]
fn all_of(found: &[Found]) -> (Vec<Endpoint>, Vec<(Vec<Endpoint>, Vec<Published>)>) {
    let endpoints = found.iter().flat_map(|one| one.place.endpoints()).collect();
    let publishing = found.iter().filter(|one| !one.place.published.is_empty());
    let ports = publishing
        .map(|one| (one.place.endpoints(), one.place.published.clone()))
        .collect();
    (endpoints, ports)
}

impl Networks {
    /// Knows a container's endpoints again.
    fn note(&self, found: &Found) {
        for joint in &found.place.joints {
            let active = Active {
                network: joint.endpoint.network.clone(),
                container: found.definition.id.clone(),
                container_name: found.definition.name.clone(),
                endpoint: Some(joint.endpoint.clone()),
            };
            if let Err(error) = self.reserve(&joint.endpoint.id, active) {
                tracing::error!(id = %found.definition.id, error = error.told(), "a container's network is not there any more");
            }
        }
    }

    /// Serves a container's ports with the sockets that the keeper held.
    fn take_over(&self, found: &Found, kept: &mut Kept) {
        let Found { definition, place } = found;
        let mut sockets = Vec::new();
        for (number, published) in place.published.iter().enumerate() {
            let socket = kept.remove(&join::port_name(&definition.id, number));
            sockets.push((published.clone(), socket));
        }
        self.serve(definition, sockets, place);
        self.answer_again(kept, definition, place);
    }
}
