package clientgo

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

func quantity(text string) resource.Quantity { return resource.MustParse(text) }

func job(name string) *batchv1.Job {
	spec := pod(name).Spec
	spec.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: spec}},
	}
}

func nothing() fields.Selector { return fields.Everything() }

func sink(client kubernetes.Interface, ns string) record.EventSink {
	return &typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events(ns)}
}
