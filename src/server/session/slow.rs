//! The second connection: opened for a piece of slow work, closed after it, which also gives back the memory that sizes
//! cost the server. Tells what it found piece by piece.

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    super::{
        Reader, ServerError,
        read::{shapes::ShapesRead, sizes::Exact},
    },
    cadence::Order,
};
use crate::config::Conninfo;
use crate::domain::{Oid, snapshot::Sizes};

/// Schemas whose exact sizes are asked for together.
const SCHEMAS_AT_ONCE: usize = 20;

/// One piece of slow work that is done.
#[derive(Debug)]
pub(super) enum SlowWork {
    Connected { pid: i32 },
    Shapes(Box<ShapesRead>),
    Estimates(Box<Sizes>),
    Exact(Exact),
    Failed { what: String, error: ServerError },
    Done,
}

/// A second connection at work; dropped, it ends.
pub(super) struct Slow {
    work: mpsc::Receiver<SlowWork>,
    task: JoinHandle<()>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Slow {
    pub(super) fn start(target: Conninfo, instance: String, order: Order, tenant_columns: Vec<String>) -> Slow {
        let (sender, work) = mpsc::channel(4);
        let task = tokio::spawn(async move {
            let what = "the slow parts".to_owned();
            if let Err(error) = run(&target, &instance, &order, &tenant_columns, &sender).await {
                let _ = sender.send(SlowWork::Failed { what, error }).await;
            }
            let _ = sender.send(SlowWork::Done).await;
        });
        Slow { work, task }
    }
}

/// The next piece; never, when there is no work.
pub(super) async fn next(slow: &mut Option<Slow>) -> SlowWork {
    match slow {
        Some(slow) => slow.work.recv().await.unwrap_or(SlowWork::Done),
        None => std::future::pending().await,
    }
}

async fn run(
    target: &Conninfo,
    instance: &str,
    order: &Order,
    tenant_columns: &[String],
    out: &mpsc::Sender<SlowWork>,
) -> Result<(), ServerError> {
    let mut reader = Reader::open(target, instance).await?;
    let _ = out.send(SlowWork::Connected { pid: reader.pid() }).await;
    for schemas in order.exact.chunks(SCHEMAS_AT_ONCE) {
        exact(&mut reader, schemas, out).await?;
    }
    if order.shapes {
        match reader.shapes(tenant_columns).await {
            Ok(read) => {
                let _ = out.send(SlowWork::Shapes(Box::new(read))).await;
            }
            Err(error) => failed("column privileges, foreign keys, views and tenancy", error, &reader, out).await?,
        }
        match reader.size_estimates().await {
            Ok(sizes) => {
                let _ = out.send(SlowWork::Estimates(Box::new(sizes))).await;
            }
            Err(error) => failed("the estimated sizes", error, &reader, out).await?,
        }
    }
    Ok(())
}

async fn exact(reader: &mut Reader, schemas: &[Oid], out: &mpsc::Sender<SlowWork>) -> Result<(), ServerError> {
    match reader.exact_sizes(schemas).await {
        Ok(sizes) => {
            let _ = out.send(SlowWork::Exact(sizes)).await;
            Ok(())
        }
        Err(error) => failed("the exact sizes", error, reader, out).await,
    }
}

/// A part that was refused is told; a lost connection ends the work.
async fn failed(
    what: &str,
    error: ServerError,
    reader: &Reader,
    out: &mpsc::Sender<SlowWork>,
) -> Result<(), ServerError> {
    if reader.is_broken() {
        return Err(error);
    }
    let _ = out.send(SlowWork::Failed { what: what.to_owned(), error }).await;
    Ok(())
}
