package sampleapp

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// backend serves what a back end does with a hub from outside, over HTTP.
func (a *App) backend(mux *http.ServeMux) {
	s := sender{hub: a.chat.hub}
	post := func(path string, do func(r *http.Request, m string) error) {
		mux.HandleFunc("POST /backend/"+path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r, r.URL.Query().Get("m")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	post("all", func(_ *http.Request, m string) error { return s.all(nil, "message", m) })
	post("client/{id}", func(r *http.Request, m string) error { return s.client(r.PathValue("id"), "message", m) })
	post("user/{user}", func(r *http.Request, m string) error { return s.user(r.PathValue("user"), "message", m) })
	post("group/{group}", func(r *http.Request, m string) error { return s.group(r.PathValue("group"), nil, "message", m) })
	post("join/{id}/{group}", func(r *http.Request, _ string) error {
		return s.join(r.Context(), r.PathValue("id"), r.PathValue("group"))
	})
	post("leave/{id}/{group}", func(r *http.Request, _ string) error {
		return s.leave(r.Context(), r.PathValue("id"), r.PathValue("group"))
	})
	mux.HandleFunc("POST /backend/ask/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer, err := a.chat.ask(context.WithoutCancel(r.Context()), s, r.PathValue("id"), r.URL.Query().Get("q"))
		if err != nil {
			http.Error(w, "error: "+err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, text(answer))
	})
	mux.HandleFunc("POST /backend/close/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !a.chat.abort(r.PathValue("id")) {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	mux.HandleFunc("GET /backend/stats", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, a.chat.stats()) })
	mux.HandleFunc("GET /backend/connections", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, strings.Join(a.chat.connections(), "\n"))
	})
	mux.HandleFunc("GET /backend/ended/{id}", func(w http.ResponseWriter, r *http.Request) {
		how, ok := a.chat.endedHow(r.PathValue("id"))
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, how)
	})
	mux.HandleFunc("GET /backend/service", func(w http.ResponseWriter, _ *http.Request) {
		up, wanted := a.Links()
		fmt.Fprintf(w, "%d %d", up, wanted)
	})
}
