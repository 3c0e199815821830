// Package clientgo holds programs that use client-go as projects do, against the cluster of $KUBECONFIG.
package clientgo

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// patience bounds each wait for something that should come at once.
const patience = 30 * time.Second

func config(t *testing.T) *rest.Config {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(t, err)
	cfg.QPS, cfg.Burst = 1000, 1000
	return cfg
}

func clientset(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	return clientsetOf(t, config(t))
}

func clientsetOf(t *testing.T, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(cfg)
	must(t, err)
	return client
}

func ctx(t *testing.T) context.Context {
	t.Helper()
	bounded, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return bounded
}

// namespace is a new one, deleted after the test.
func namespace(t *testing.T) string {
	t.Helper()
	client := clientset(t)
	name := "clientgo-" + rand.String(8)
	_, err := client.CoreV1().Namespaces().Create(
		ctx(t), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		_ = client.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{})
	})
	return name
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
	}
}

// running creates a pod and waits until it is ready.
func running(t *testing.T, client kubernetes.Interface, ns, name string) {
	t.Helper()
	_, err := client.CoreV1().Pods(ns).Create(ctx(t), pod(name), metav1.CreateOptions{})
	must(t, err)
	eventually(t, "the pod runs", func() bool {
		found, err := client.CoreV1().Pods(ns).Get(ctx(t), name, metav1.GetOptions{})
		return err == nil && found.Status.Phase == corev1.PodRunning
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, holds bool, what string, values ...any) {
	t.Helper()
	if !holds {
		t.Fatal(fmt.Sprintf(what, values...))
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("it never came about: %s", what)
}
