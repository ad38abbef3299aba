//! m
#![allow(clippy::unwrap_used)]
use nsdb::*;
use std::time::*;
use std::sync::Arc;
#[tokio::main(flavor="multi_thread", worker_threads=2)]
async fn main(){
 let dir="/tmp/t-nsdb/x/state"; let _=std::fs::remove_dir_all(dir);
 let t=Instant::now(); let s=Arc::new(Embedded::open(dir,EmbeddedOptions::default()).unwrap()); println!("create {:?}",t.elapsed());
 let t=Instant::now(); for n in 0..200u64{ s.save("k",n.to_be_bytes().to_vec()).await.unwrap();} println!("serial durable save {:?} each",t.elapsed()/200);
 let b=s.statistics(); let t=Instant::now(); let mut js=tokio::task::JoinSet::new(); for n in 0..64u64 {let s=s.clone(); js.spawn(async move{ for i in 0..200u64 { s.save(&format!("k{n}"),i.to_be_bytes().to_vec()).await.unwrap(); }});} js.join_all().await; let a=s.statistics(); println!("64 callers: {:.0} saves/s in {} commits", 12800.0/t.elapsed().as_secs_f64(), a.commits-b.commits);
 let t=Instant::now(); s.save("fdb",vec![7;8<<20]).await.unwrap(); println!("8 MiB fdb save {:?}",t.elapsed());
 let t=Instant::now(); s.load("fdb").await.unwrap(); println!("8 MiB fdb load {:?}",t.elapsed());
 let t=Instant::now(); for _ in 0..300 { let es=(0..1000).map(|n|NewEntry{kind:Kind::new("address-moved").unwrap(),at:WallTime::from_millis(n),body:vec![b'x';150]}).collect(); s.append(es).await.unwrap(); } println!("300k journal entries {:?}",t.elapsed());
 let t=Instant::now(); let q=s.query(Query::default()).await.unwrap(); println!("newest 100 {:?} ({})",t.elapsed(),q.len());
 let t=Instant::now(); let q=s.query(Query{kind:Some(Kind::new("none").unwrap()),..Query::default()}).await.unwrap(); println!("whole scan {:?} ({})",t.elapsed(),q.len());
 let sh:std::collections::BTreeMap<_,_>=(0..1000).map(|n|(ShardName::new(format!("bridge/b{n}")).unwrap(),vec![n as u8;2000])).collect();
 let t=Instant::now(); let r=s.publish(None,sh.clone(),Change::new("a",WallTime::from_millis(1),"")).await.unwrap(); println!("publish 1000 shards {:?}",t.elapsed());
 let mut sh=sh; sh.insert(ShardName::new("bridge/b5").unwrap(),vec![9;10]);
 let t=Instant::now(); s.publish(Some(r),sh,Change::new("a",WallTime::from_millis(1),"")).await.unwrap(); println!("publish 1 changed of 1000 {:?}",t.elapsed());
 let t=Instant::now(); for _ in 0..1000 { s.root().await.unwrap(); } println!("root of 1000 shards {:?}",t.elapsed()/1000);
 let t=Instant::now(); Arc::into_inner(s).unwrap().close().unwrap(); println!("close {:?}; file {} MiB",t.elapsed(), std::fs::metadata(format!("{dir}/state.redb")).unwrap().len()>>20);
 let t=Instant::now(); let s=Embedded::open(dir,EmbeddedOptions::default()).unwrap(); println!("open {:?}",t.elapsed()); drop(s);
}
