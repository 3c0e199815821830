package plugin

import (
	"context"
	"fmt"
	"log"
	"path/filepath"
	"sync/atomic"
	"time"
)

const (
	tickEvery      = 250 * time.Millisecond
	arrivalsMax    = 64
	windowBytes    = 16 << 20
	attemptsMax    = 16
	takenAtOnceMax = 256
)

// Options say which group this is a replica of, and what it does with events. What is zero gets the default in brackets.
type Options struct {
	// Config is the config.json that the running pipeline wrote into its runtime folder.
	Config    string
	Group     string
	Resources []string
	// Handle may be called from several goroutines, never twice at a time for one key. nil is done; see Requeue, RetryAfter, Dead.
	Handle func(*Event) error
	OnGap  func(Gap)
	// Filter is a clause of docs/wire.md §7: the worker sends only what it wants. [all]
	Filter   map[string]any
	Delivery string // [latest]
	Workers  int    // calls at a time [4]
	Window   int    // keys in flight [64]
}

// Plugin is one replica.
type Plugin struct {
	options  Options
	hello    map[string]any
	links    []*link
	arrivals chan arrival
	results  chan ack
	underWay int
	turns    atomic.Int64
	began    time.Time
}

// New reads the config; nothing is connected before Run.
func New(options Options) (*Plugin, error) {
	config, err := readConfig(options.Config)
	if err != nil {
		return nil, err
	}
	informers, err := config.informersOf(options.Resources)
	if err != nil {
		return nil, err
	}
	options.Delivery = orElse(options.Delivery, "latest")
	options.Workers, options.Window = orElse(options.Workers, 4), orElse(options.Window, 64)
	filters := map[string]any{}
	if options.Filter != nil {
		for _, informer := range informers {
			filters[informer] = []any{options.Filter}
		}
	}
	p := &Plugin{
		options: options, began: time.Now(),
		arrivals: make(chan arrival, arrivalsMax), results: make(chan ack, options.Workers),
		hello: map[string]any{
			"group": options.Group, "delivery": options.Delivery, "informers": informers, "resync_s": 0,
			"window": options.Window, "window_bytes": windowBytes, "attempts_max": attemptsMax, "old": true,
			"filters": filters, "run": config.Runtime.Run,
		},
	}
	id := newIdentity(options.Group + "-0")
	for worker := range config.Runtime.Workers {
		p.links = append(p.links, &link{
			worker: worker, path: filepath.Join(config.Runtime.Dir, fmt.Sprintf("worker-%d", worker)), id: id,
			heartbeat: time.Duration(config.Runtime.Heartbeat), arrivals: p.arrivals, calls: map[*Event]bool{},
		})
	}
	return p, nil
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Run works until the context ends. Then it begins no further call, waits for those under way, and gives back the rest.
func (p *Plugin) Run(ctx context.Context) {
	lifetime, end := context.WithCancel(context.Background())
	defer end()
	for _, l := range p.links {
		go l.beats(lifetime, &p.turns)
	}
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	p.tick(lifetime)
	leaving := ctx.Done()
	for {
		select {
		case found := <-p.arrivals:
			p.arrived(found)
		case result := <-p.results:
			p.ended(result)
		case <-ticker.C:
			p.tick(lifetime)
		case <-leaving:
			leaving = nil
		}
		p.takeWaiting()
		if ctx.Err() == nil {
			p.start()
		} else if p.underWay == 0 {
			p.leave()
			return
		}
		for _, l := range p.links {
			l.flush()
		}
		p.turns.Add(1)
	}
}

// takeWaiting deals with what else is there already, so that its acks leave in one frame.
func (p *Plugin) takeWaiting() {
	for range takenAtOnceMax {
		select {
		case found := <-p.arrivals:
			p.arrived(found)
		case result := <-p.results:
			p.ended(result)
		default:
			return
		}
	}
}

func (p *Plugin) leave() {
	for _, l := range p.links {
		l.flush()
		l.send(Message{"bye"})
		if l.wire != nil {
			_ = l.wire.raw.Close()
		}
	}
}

func (p *Plugin) now() time.Duration { return time.Since(p.began) }

func (p *Plugin) tick(ctx context.Context) {
	for _, l := range p.links {
		if l.wire != nil && l.session.IsOpen() && p.now()-l.heardAt > silentIntervalsMax*l.heartbeat {
			l.drop("nothing heard")
		}
		if l.wire == nil && !l.isDialing {
			l.dial(ctx)
		} else if l.wire != nil {
			p.sayHello(l)
		}
	}
}

func (p *Plugin) sayHello(l *link) {
	if !l.session.IsHelloDue(p.now()) {
		return
	}
	body := map[string]any{"held": l.held()}
	for name, value := range p.hello {
		body[name] = value
	}
	data, err := l.session.Hello(p.now(), "handler", l.id.name, l.id.nonce, l.id.pid, l.id.started, l.id.host, body)
	if err == nil {
		err = l.wire.send(data, l.heartbeat)
	}
	if err != nil {
		l.drop(err.Error())
	}
}

func (p *Plugin) arrived(found arrival) {
	l := found.link
	if found.isDial {
		l.isDialing = false
		if found.err == nil {
			l.wire = found.wire
			p.sayHello(l)
		}
		return
	}
	if found.wire != l.wire || l.wire == nil {
		// Of a connection that was given up.
		return
	}
	if found.err != nil {
		l.drop(found.err.Error())
		return
	}
	frame, err := Unpack(found.data)
	if err != nil {
		log.Printf("worker %d: %v: ignored", l.worker, err)
		return
	}
	verdict, reason := l.session.Take(frame, p.now())
	if verdict != Ignore {
		l.heardAt = p.now()
	}
	switch verdict {
	case Opened:
		l.sessionNumber.Store(l.session.Number)
		log.Printf("connected to worker %d", l.worker)
	case Take:
		for _, message := range frame.Messages {
			p.message(l, message)
		}
	case Lost, Refused:
		l.lost(reason)
		p.sayHello(l)
	}
}

func (p *Plugin) message(l *link, message Message) {
	switch message[0] {
	case "events":
		events, err := readEvents(l, message)
		if err != nil {
			log.Printf("worker %d: events: %v", l.worker, err)
			l.drop("a message that cannot be read")
			return
		}
		l.queue = append(l.queue, events...)
	case "gap":
		gap, seen, err := readGap(message)
		if err != nil {
			l.drop("a gap that cannot be read")
			return
		}
		if p.options.OnGap != nil {
			p.options.OnGap(gap)
		}
		l.send(seen)
	}
	// `opened`, `synced` and `proof` are for those who read the cache.
}

// start takes one event of each worker in turn.
func (p *Plugin) start() {
	for isIdle := false; !isIdle; {
		isIdle = true
		for _, l := range p.links {
			if len(l.queue) == 0 || p.underWay == p.options.Workers {
				continue
			}
			isIdle = false
			event := l.queue[0]
			l.queue = l.queue[1:]
			p.underWay++
			l.calls[event] = true
			go func() {
				p.results <- ack{event, outcomeOf(event.Attempt, call(p.options.Handle, event))}
			}()
		}
	}
}

func (p *Plugin) ended(result ack) {
	p.underWay--
	l := result.event.link
	delete(l.calls, result.event)
	l.acks = append(l.acks, result)
}
