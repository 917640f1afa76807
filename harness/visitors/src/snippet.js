/* wsceiling: after consent, this page holds a few WebSocket connections for a load test. See docs/visitors.md */
(()=>{"use strict"
if(window.wsceiling)return
const src=document.currentScript.src,HARD=30,FAST=2,TICK=500,nav=navigator,rnd=Math.random,now=()=>performance.now(),
fresh=()=>({o:0,f:0,t:0,l:0,s:0,a:0,k:{},h:Array(14).fill(0)})
let on=0,lead=0,gen=0,free,timer,id="",q=0,e=0,cfg=0,got=0,url="",list=[],c=fresh(),busy=0,poll=0,next=0,bad=0,bytes=0,why="off"
const open=()=>list.filter(s=>s.w.readyState==1).length,
saver=()=>{const d=nav.connection;return d&&(d.saveData||d.type=="cellular")},
cut=s=>{list=list.filter(x=>x!=s);s.x=1;s.w.close(1000)},
last=()=>list[list.length-1],
drop=()=>{while(list.length)cut(last());cfg=0},
body=z=>JSON.stringify({i:id,q:++q,e,z,n:open(),c}),
back=()=>{next=now()+Math.min(3e4,(1+rnd())*1e3*2**bad++)},
add=()=>{
const s={t:now(),d:0}
try{s.w=new WebSocket(url)}catch(x){return stop("refused by the page")}
list.push(s);bytes+=1e3
s.w.onopen=()=>{s.u=1;c.o++;bad=0}
s.w.onmessage=m=>{const d=m.data;bytes+=d.length||d.size||0
if(d===s.p){s.p=0;c.a++;c.h[Math.min(13,Math.log2(Math.max(1,now()-s.m))|0)]++}}
s.w.onclose=m=>{if(s.x)return
list=list.filter(x=>x!=s);back()
if(s.u){c.l++;c.k[m.code]=(c.k[m.code]||0)+1}else c.f++}},
tick=()=>{
const t=now()
if(saver())return stop("data saver")
if(cfg&&bytes>cfg.b)return stop("byte budget spent")
if(cfg&&t-got>cfg.v)drop()
const n=cfg?Math.min(cfg.n,HARD):0
while(list.length>n)cut(last())
if(list.length<n&&t>=next){next=t+1e3/Math.min(cfg.r,FAST);add()}
for(const s of list){
if(!s.u){if(t-s.t>2e4){cut(s);c.t++;back()}}
else if(!cfg.m)s.d=0
else if(!s.d)s.d=t+rnd()*cfg.e
else if(t>=s.d){s.d=t+Math.max(1e3,cfg.e);s.m=t;s.p=`{"wsceiling":${++c.s}}`.padEnd(cfg.m);bytes+=cfg.m;s.w.readyState==1&&s.w.send(s.p)}}
if(!busy&&t>=poll)ask()},
ask=async()=>{
const g=gen,t=now()
let first=0
busy=1
try{
const b=id?body("v"):"{}",sent=q,
r=await fetch(new URL(id?"report":"join",src),{method:"POST",body:b,credentials:"omit",cache:"no-store",referrerPolicy:"no-referrer",signal:AbortSignal.timeout(8e3)}),
a=r.ok&&await r.json()
if(g==gen){
if(r.status==403){drop();id=""}
else if(a){
if(url&&a.w!=url)stop("the target changed")
else{
url=a.w;cfg=a;got=t;e=sent
if(a.i){id=a.i;q=e=0;c=fresh();first=1}}}}
}catch(x){}
busy=0
poll=now()+(cfg.p||5e3)*(first?rnd():.8+.4*rnd())},
begin=()=>{
if(lead)return
const g=++gen
why="waiting for another tab"
nav.locks.request("wsceiling",()=>g==gen&&new Promise(r=>{free=r;lead=1;why="on";poll=0;timer=setInterval(tick,TICK);tick()}))},
rest=(w,z)=>{
gen++;drop();clearInterval(timer);why=w
if(lead&&id)nav.sendBeacon(new URL("report",src),body(z))
if(z=="b")id=""
lead=0
if(free){free();free=0}},
stop=w=>{if(on){on=0;rest(w||"off","b")}},
start=o=>{
if(!o||o.consent!==true)return"no consent"
if(saver())return"data saver"
if(!nav.locks||!AbortSignal.timeout)return"browser too old, or page not secure"
if(!on){on=1;if(document.hidden)why="hidden";else begin()}
return why}
document.addEventListener("visibilitychange",()=>{if(on){if(document.hidden)rest("hidden","h");else begin()}})
addEventListener("pagehide",()=>{if(on)rest("gone","b")})
addEventListener("pageshow",p=>{if(on&&p.persisted&&!document.hidden)begin()})
window.wsceiling=Object.freeze({start,stop:()=>stop(),state:()=>({why,open:open(),goal:cfg?cfg.n:0})})
})()
