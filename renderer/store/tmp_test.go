package store_test
import ("testing";"os";"time";"flickrkillr/renderer/store")
func TestTmp(t *testing.T){
 pool,err:=store.OpenPool(t.Context(),os.Getenv("TMPDB"),4); if err!=nil{t.Fatal(err)}
 defer pool.Close()
 s:=store.New(pool)
 ctx:=t.Context()
 show:=func(name string,f func() (any,error)){ for range 6 { b:=time.Now(); v,err:=f(); d:=time.Since(b); _=v; t.Log(name,d,err) } }
 show("users",func()(any,error){p,err:=s.Users(ctx,[]store.UserQuery{{Name:"u1"},{Name:"u1",Before:500000},{Name:"u3",After:5000},{Name:"nobody"}}); for i:=range p {t.Log(len(p[i].Photos),len(p[i].Covers),p[i].Newer,p[i].Older,p[i].Depends,p[i].User!=nil)}; return p,err})
 show("photo",func()(any,error){p,err:=s.Photo(ctx,700000); t.Logf("%+v %v",p.Photo, p.Depends); return p,err})
 show("home",func()(any,error){p,err:=s.Home(ctx,0,0); t.Log(len(p.Photos),len(p.Popular),p.Older,p.Newer); return p,err})
 show("home",func()(any,error){p,err:=s.Home(ctx,5000,0); t.Log(len(p.Photos),len(p.Popular),p.Older,p.Newer); return p,err})
 show("tag",func()(any,error){p,err:=s.Tag(ctx,"kakaka 0",5000,0); t.Log(len(p.Photos),p.Older,p.Newer); return p,err})
 show("album",func()(any,error){p,err:=s.Album(ctx,1,0,0); t.Log(len(p.Photos),p.Next,p.Previous); return p,err})
 show("feed",func()(any,error){p,err:=s.Feed(ctx,"u1"); t.Log(len(p.Entries)); return p,err})
 for _,q:=range []string{"sunset","foxglove","xylograph","nosuchword","analog","sunset analog","-sunset","xylograp","sunse","kak","u12","lokaka miren"} {
 show("search "+q,func()(any,error){p,err:=s.Search(ctx,q,0); t.Log(len(p.Photos),p.Older,p.Similar,len(p.People),p.Tags); return p,err})
 }
 t.Log(s.Tick(ctx)); t.Log(s.Now(ctx))
 t.Log(s.RelayOnce(ctx, func(c []store.Change) error { t.Log(c); return nil}))
}
