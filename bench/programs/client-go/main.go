// The contender of the benchmark in Go: client-go's shared informer of pods, typed, JSON.
//
// Each call of its handler writes the object's stamp and the present moment, two int64 of µs since 1970, to $BENCH_OUT.
package main

import (
	"encoding/binary"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const annotation = "bench/sent-us"

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	out := must(os.OpenFile(os.Getenv("BENCH_OUT"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600))
	config := must(clientcmd.BuildConfigFromFlags("", os.Args[1]))
	config.ContentType = "application/json"
	client := must(kubernetes.NewForConfig(config))
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()

	record := make([]byte, 16)
	stamp := func(object any) {
		now := time.Now().UnixMicro()
		sent := must(strconv.ParseInt(object.(*corev1.Pod).Annotations[annotation], 10, 64))
		binary.LittleEndian.PutUint64(record, uint64(sent))
		binary.LittleEndian.PutUint64(record[8:], uint64(now))
		must(out.Write(record))
	}
	must(pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    stamp,
		UpdateFunc: func(_, object any) { stamp(object) },
	}))
	factory.Start(nil)
	select {}
}
