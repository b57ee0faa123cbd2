// The service that tests deploy onto clusters: one static program, the only file of its image.
//
//	test-service            serves HTTP at PORT (8080), until SIGTERM; open requests may end
//	test-service get URL    prints what URL answers, and fails unless that is 200
//	test-service pause      does nothing, but takes leave of orphans: the first process of a pod, or of a cluster's namespaces
//	test-service pause -    the same, until its standard input ends
//
// FAIL makes a release bad: `crash` ends it at its start, `unready` has its probe fail, `errors` has it answer 500.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 0:
		err = serve(os.Getenv("VERSION"), os.Getenv("FAIL"))
	case args[0] == "get" && len(args) == 2:
		err = get(args[1])
	case args[0] == "pause":
		pause(len(args) == 2 && args[1] == "-")
	default:
		err = errors.New("usage: test-service [get URL | pause [-]]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(version, fail string) error {
	fmt.Println("version", version, "starts")
	if fail == "crash" {
		return errors.New("crashes, as it was told")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		if fail == "errors" {
			answer.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprintln(answer, version)
	})
	mux.HandleFunc("/healthz", func(answer http.ResponseWriter, request *http.Request) {
		if fail == "unready" {
			answer.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/log", func(answer http.ResponseWriter, request *http.Request) {
		fmt.Println(request.URL.Query().Get("line"))
	})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "crashes, as it was told")
		os.Exit(1)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Addr: ":" + port, Handler: mux}
	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		<-term.Done()
		patience, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		ended <- server.Shutdown(patience)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

func get(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

func pause(untilInputEnds bool) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	if untilInputEnds {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	for signal := range signals {
		if signal != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && err != syscall.EINTR {
				break
			}
		}
	}
}
